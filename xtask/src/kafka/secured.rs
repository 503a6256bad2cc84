//! A node that asks who its clients are: one listener per mechanism, its own authority, users and ACLs.
//!
//! In: a folder and free ports. Out: certificates and `listeners.json` (for the tests) in the folder, and the
//! properties of the node. Nothing here is a secret: the users exist while a test runs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::json;

use crate::failure::{Failure, OrFail, Result};
use crate::kafka::config::HOST;

/// Listener, protocol.
const LISTENERS: [(&str, &str); 5] = [
    ("SSL", "SSL"),
    ("MTLS", "SSL"),
    ("PLAIN", "SASL_SSL"),
    ("SCRAM", "SASL_PLAINTEXT"),
    ("OAUTH", "SASL_SSL"),
];
pub(crate) const PORTS: usize = LISTENERS.len();
/// Of users of PLAIN and SCRAM; `alice` and `dave` may do everything, `bob` and `carol` what ACLs allow.
const USERS: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// The password of a user.
fn password(user: &str) -> String {
    format!("canary-{user}-password")
}

/// What `format` is told, so that the users of SCRAM exist before the first node runs.
pub(crate) fn scram_users() -> Vec<String> {
    let mut arguments = Vec::new();
    for user in USERS {
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            arguments.push("--add-scram".to_owned());
            arguments.push(format!(
                "{mechanism}=[name={user},password={}]",
                password(user)
            ));
        }
    }
    arguments
}

/// An authority and what it has signed.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn made<T>(result: std::result::Result<T, rcgen::Error>) -> Result<T> {
    result.map_err(|error| Failure::new(format!("cannot make a certificate: {error}")))
}

impl Authority {
    fn new(name: &str) -> Result<Self> {
        let mut params = made(CertificateParams::new(Vec::new()))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = made(KeyPair::generate())?;
        let pem = made(params.self_signed(&key))?.pem();
        Ok(Self {
            pem,
            issuer: Issuer::new(params, key),
        })
    }

    /// Certificate and key.
    fn sign(&self, name: &str, hosts: &[&str]) -> Result<(String, String)> {
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = made(CertificateParams::new(hosts))?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = made(KeyPair::generate())?;
        let certificate = made(params.signed_by(&key, &self.issuer))?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}

/// Writes certificates and `listeners.json`; answers the lines for the node's properties, which win over the
/// same keys before them.
pub(crate) fn lay_out(folder: &Path, open: u16, controller: u16, ports: &[u16]) -> Result<String> {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).or_fail(|| format!("write {}", path.display()))
    };
    let authority = Authority::new("authority of this test")?;
    write("ca.pem", &authority.pem)?;
    write("other-ca.pem", &Authority::new("another authority")?.pem)?;
    // Only by this name, so that there is one it is not for.
    let (certificate, key) = authority.sign("broker", &["localhost"])?;
    write(
        "broker.pem",
        &format!("{key}{certificate}{}", authority.pem),
    )?;
    let (certificate, key) = authority.sign("alice", &[])?;
    write("client.pem", &certificate)?;
    write("client.key", &key)?;

    let listeners = LISTENERS.iter().zip(ports);
    let by_name: serde_json::Map<String, serde_json::Value> = listeners
        .clone()
        .map(|((name, _), port)| ((*name).to_owned(), json!(port)))
        .collect();
    write(
        "listeners.json",
        &json!({ "open": open, "ports": by_name }).to_string(),
    )?;

    let mut text = String::new();
    let mut set = |key: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key}={value}");
    };
    let list = |host: &str| {
        let clients = listeners.clone();
        let clients = clients.map(|((name, _), port)| format!(",{name}://{host}:{port}"));
        format!("PLAINTEXT://{HOST}:{open}{}", clients.collect::<String>())
    };
    let controllers = format!(",CONTROLLER://{HOST}:{controller}");
    set("listeners", &(list(&HOST.to_string()) + &controllers));
    set("advertised.listeners", &list("localhost"));
    let protocols: String = LISTENERS
        .iter()
        .map(|(name, protocol)| format!(",{name}:{protocol}"))
        .collect();
    set(
        "listener.security.protocol.map",
        &format!("PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}"),
    );
    set("ssl.keystore.type", "PEM");
    set("ssl.truststore.type", "PEM");
    let path = |name: &str| {
        folder
            .join(name)
            .display()
            .to_string()
            .replace('\\', "\\\\")
    };
    set("ssl.keystore.location", &path("broker.pem"));
    set("ssl.truststore.location", &path("ca.pem"));
    set("listener.name.mtls.ssl.client.auth", "required");

    let users: String = USERS
        .iter()
        .map(|user| format!(" user_{user}=\"{}\"", password(user)))
        .collect();
    let modules = "org.apache.kafka.common.security";
    set("listener.name.plain.sasl.enabled.mechanisms", "PLAIN");
    set(
        "listener.name.plain.plain.sasl.jaas.config",
        &format!("{modules}.plain.PlainLoginModule required{users};"),
    );
    set(
        "listener.name.scram.sasl.enabled.mechanisms",
        "SCRAM-SHA-256,SCRAM-SHA-512",
    );
    for mechanism in ["scram-sha-256", "scram-sha-512"] {
        let prefix = format!("listener.name.scram.{mechanism}");
        set(
            &format!("{prefix}.sasl.jaas.config"),
            &format!("{modules}.scram.ScramLoginModule required;"),
        );
        // A changed password is noticed on connections that stand.
        set(&format!("{prefix}.connections.max.reauth.ms"), "3000");
    }
    set("listener.name.oauth.sasl.enabled.mechanisms", "OAUTHBEARER");
    // Kafka's validator of unsigned tokens: it looks at the subject and the time.
    set(
        "listener.name.oauth.oauthbearer.sasl.jaas.config",
        &format!(
            "{modules}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";"
        ),
    );
    set(
        "authorizer.class.name",
        "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    );
    // Who comes without a name comes by the open listener: the node itself and the tools.
    set(
        "super.users",
        "User:ANONYMOUS;User:alice;User:dave;User:CN=alice",
    );
    Ok(text)
}

/// As arguments of Kafka's tool `acls`: `bob` may use what begins with `open-`, `carol` only topics that do, and no
/// group at all.
pub(crate) const ACLS: [&[&str]; 3] = [
    &[
        "--add",
        "--allow-principal",
        "User:bob",
        "--operation",
        "All",
        "--resource-pattern-type",
        "prefixed",
        "--topic",
        "open-",
        "--group",
        "open-",
        "--transactional-id",
        "open-",
    ],
    &[
        "--add",
        "--allow-principal",
        "User:carol",
        "--operation",
        "All",
        "--resource-pattern-type",
        "prefixed",
        "--topic",
        "open-",
    ],
    &[
        "--add",
        "--deny-principal",
        "User:carol",
        "--operation",
        "All",
        "--group",
        "*",
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_listener_has_its_port_and_the_later_lines_win() {
        let folder = std::env::temp_dir().join(format!("xtask-secured-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("the temporary folder is writable");
        let text = lay_out(&folder, 1, 2, &[3, 4, 5, 6, 7]).expect("certificates are made");
        let json = fs::read_to_string(folder.join("listeners.json")).expect("it was just written");
        let key = fs::read_to_string(folder.join("client.key")).expect("it was just written");
        fs::remove_dir_all(&folder).expect("it is ours");
        assert!(text.contains(
            "listeners=PLAINTEXT://127.0.0.1:1,SSL://127.0.0.1:3,MTLS://127.0.0.1:4,PLAIN://127.0.0.1:5,\
             SCRAM://127.0.0.1:6,OAUTH://127.0.0.1:7,CONTROLLER://127.0.0.1:2\n"
        ));
        assert!(text.contains("OAUTH:SASL_SSL"));
        assert!(json.contains("\"OAUTH\":7"));
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"));
    }
}
