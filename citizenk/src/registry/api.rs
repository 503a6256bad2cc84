//! The requests of the API, typed.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Registry;
use super::client::{Client, What};
use super::error::RegistryError;
use super::schema::{
    Compatibility, NewSchema, Reference, RegisteredSchema, SubjectVersion, number,
};
use crate::schema::{ResolvedReference, SchemaId, SchemaKind, SchemaText};

/// More schemas than these are not followed from one: references could go in circles of any length.
const MOST_REFERENCES: usize = 256;

impl Client {
    /// The schema with this id and everything it refers to.
    pub(super) async fn schema(&self, id: SchemaId) -> Result<RegisteredSchema, RegistryError> {
        let what = What::Id(id);
        let path = match id {
            SchemaId::Number(_) => format!("/schemas/ids/{id}"),
            SchemaId::Guid(_) => format!("/schemas/guids/{id}"),
        };
        let answer = self.get(&path, what).await?;
        let read = || {
            let kind = SchemaKind::parse(answer["schemaType"].as_str())?;
            let text = answer["schema"].as_str()?.to_owned();
            Some((kind, text, Reference::read_all(&answer["references"])?))
        };
        let (kind, text, references) = read().ok_or_else(|| self.incomplete(what))?;
        let references = self.resolve(references).await?;
        let schema = Arc::new(SchemaText {
            kind,
            text,
            references,
        });
        let id = match id {
            SchemaId::Number(id) => id,
            // Not every registry says it, and nobody asks for it.
            SchemaId::Guid(_) => number(&answer["id"]).unwrap_or_default(),
        };
        Ok(RegisteredSchema { id, schema })
    }

    async fn version(&self, subject: &str, version: &str) -> Result<SubjectVersion, RegistryError> {
        let what = What::Version(subject, version);
        let path = format!("{}/{}", versions(subject), encoded(version));
        let answer = self.get(&path, what).await?;
        SubjectVersion::read(&answer).ok_or_else(|| self.incomplete(what))
    }

    /// Fetches what is named, and what that names; each stands behind what it names itself.
    async fn resolve(
        &self,
        references: Vec<Reference>,
    ) -> Result<Vec<ResolvedReference>, RegistryError> {
        enum Step {
            Look(Reference),
            Done(ResolvedReference),
        }
        let mut resolved = Vec::new();
        let mut seen = HashSet::new();
        let mut steps: Vec<Step> = references.into_iter().rev().map(Step::Look).collect();
        while let Some(step) = steps.pop() {
            let reference = match step {
                Step::Done(done) => {
                    resolved.push(done);
                    continue;
                }
                Step::Look(reference) => reference,
            };
            if !seen.insert(reference.clone()) {
                continue;
            }
            let Reference {
                name,
                subject,
                version,
            } = reference;
            let number = version.to_string();
            if seen.len() > MOST_REFERENCES {
                return Err(self.incomplete(What::Version(&subject, &number)));
            }
            let found = self.version(&subject, &number).await?;
            steps.push(Step::Done(ResolvedReference {
                name,
                subject,
                version,
                text: found.text,
            }));
            steps.extend(found.references.into_iter().rev().map(Step::Look));
        }
        Ok(resolved)
    }
}

impl Registry {
    /// Registers a schema as a version of a subject unless it is one already; answers its id.
    ///
    /// # Errors
    /// [`RegistryError::Incompatible`] with the registry's reasons, [`RegistryError::Invalid`] where it cannot read
    /// the schema, and whatever keeps it from answering.
    pub async fn register(&self, subject: &str, schema: &NewSchema) -> Result<u32, RegistryError> {
        let what = What::Subject(subject);
        let client = &self.0.client;
        let answer = client
            .post(&versions(subject), &schema.body(), what)
            .await?;
        number(&answer["id"]).ok_or_else(|| client.incomplete(what))
    }

    /// The version of a subject with this very schema; `None`: there is none.
    ///
    /// # Errors
    /// What keeps the registry from answering.
    pub async fn lookup(
        &self,
        subject: &str,
        schema: &NewSchema,
    ) -> Result<Option<SubjectVersion>, RegistryError> {
        let what = What::Subject(subject);
        let client = &self.0.client;
        let path = format!("/subjects/{}", encoded(subject));
        let answer = client.post(&path, &schema.body(), what).await;
        known(answer)?
            .map(|mut answer| {
                // Some say only what the caller does not know.
                answer["schema"] = schema.text.as_str().into();
                answer["schemaType"] = schema.kind.name().into();
                answer["subject"] = subject.into();
                answer["references"] = schema.references.iter().map(Reference::json).collect();
                SubjectVersion::read(&answer).ok_or_else(|| client.incomplete(what))
            })
            .transpose()
    }

    /// The newest version of a subject; `None`: there is none.
    ///
    /// # Errors
    /// What keeps the registry from answering.
    pub async fn latest(&self, subject: &str) -> Result<Option<SubjectVersion>, RegistryError> {
        known(self.0.client.version(subject, "latest").await)
    }

    /// A version of a subject; `None`: there is none.
    ///
    /// # Errors
    /// What keeps the registry from answering.
    pub async fn version(
        &self,
        subject: &str,
        version: u32,
    ) -> Result<Option<SubjectVersion>, RegistryError> {
        known(self.0.client.version(subject, &version.to_string()).await)
    }

    /// The numbers of a subject's versions, rising; none of an unknown one.
    ///
    /// # Errors
    /// What keeps the registry from answering.
    pub async fn versions(&self, subject: &str) -> Result<Vec<u32>, RegistryError> {
        let what = What::Subject(subject);
        let answer = self.0.client.get(&versions(subject), what).await;
        let Some(answer) = known(answer)? else {
            return Ok(Vec::new());
        };
        let numbers: Option<Vec<u32>> = answer
            .as_array()
            .and_then(|list| list.iter().map(number).collect());
        numbers.ok_or_else(|| self.0.client.incomplete(what))
    }

    /// All subjects, in the registry's order.
    ///
    /// # Errors
    /// What keeps the registry from answering.
    pub async fn subjects(&self) -> Result<Vec<String>, RegistryError> {
        let answer = self.0.client.get("/subjects", What::All).await?;
        serde_json::from_value(answer).map_err(|_| self.0.client.incomplete(What::All))
    }

    /// Whether a schema may be the next version of a subject, by the rule that is set for it; of a subject that
    /// does not exist any schema may.
    ///
    /// # Errors
    /// [`RegistryError::Invalid`] where the registry cannot read the schema, and what keeps it from answering.
    pub async fn check(
        &self,
        subject: &str,
        schema: &NewSchema,
    ) -> Result<Compatibility, RegistryError> {
        let what = What::Subject(subject);
        let path = format!(
            "/compatibility/subjects/{}/versions/latest?verbose=true",
            encoded(subject)
        );
        let client = &self.0.client;
        let Some(answer) = known(client.post(&path, &schema.body(), what).await)? else {
            return Ok(Compatibility {
                compatible: true,
                messages: Vec::new(),
            });
        };
        let compatible = answer["is_compatible"].as_bool();
        let messages = match &answer["messages"] {
            Value::Array(list) => list
                .iter()
                .map(|message| match message {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                })
                .collect(),
            _ => Vec::new(),
        };
        Ok(Compatibility {
            compatible: compatible.ok_or_else(|| client.incomplete(what))?,
            messages,
        })
    }

    /// The rule for new versions of a subject, or the one for all; e.g. `BACKWARD`. `None`: the subject has none of
    /// its own.
    ///
    /// # Errors
    /// What keeps the registry from answering.
    pub async fn compatibility_rule(
        &self,
        subject: Option<&str>,
    ) -> Result<Option<String>, RegistryError> {
        let (path, what) = config(subject);
        let Some(answer) = known(self.0.client.get(&path, what).await)? else {
            return Ok(None);
        };
        // Answers of Apicurio to a change have one name, all others the other.
        let level = answer["compatibilityLevel"]
            .as_str()
            .or_else(|| answer["compatibility"].as_str());
        let level = level.ok_or_else(|| self.0.client.incomplete(what))?;
        Ok(Some(level.to_owned()))
    }

    /// Sets the rule for new versions of a subject, or the one for all.
    ///
    /// # Errors
    /// The registry does not know the rule, or does not answer.
    pub async fn set_compatibility_rule(
        &self,
        subject: Option<&str>,
        rule: &str,
    ) -> Result<(), RegistryError> {
        let (path, what) = config(subject);
        let body = json!({ "compatibility": rule });
        self.0.client.put(&path, &body, what).await.map(drop)
    }
}

fn config(subject: Option<&str>) -> (String, What<'_>) {
    match subject {
        Some(subject) => (
            format!("/config/{}", encoded(subject)),
            What::Subject(subject),
        ),
        None => ("/config".to_owned(), What::All),
    }
}

/// That something is not known is an answer.
fn known<T>(answer: Result<T, RegistryError>) -> Result<Option<T>, RegistryError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_unknown() => Ok(None),
        Err(error) => Err(error),
    }
}

fn versions(subject: &str) -> String {
    format!("/subjects/{}/versions", encoded(subject))
}

/// As one segment of a path.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn a_subject_is_one_segment_of_a_path() {
        assert_eq!(encoded("orders-value"), "orders-value");
        assert_eq!(encoded("a/b ?:%ü"), "a%2Fb%20%3F%3A%25%C3%BC");
    }
}
