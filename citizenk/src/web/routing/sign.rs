//! Who may speak for the cluster: tags of addresses and of forwarded requests.
//!
//! Pure: bytes in, a code out. The key is the cluster's secret; without one it is empty, which proves nothing
//! and is why such workers reach each other on the loopback interface only.

use std::fmt::Write as _;

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

/// How far apart two workers' clocks may be, in milliseconds; also how long a request can be repeated by
/// somebody who overheard it.
const SKEW: i64 = 30_000;

/// The cluster's secret; never printed.
#[derive(Clone, Default)]
pub(crate) struct Key(Vec<u8>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(***)")
    }
}

/// What of a forwarded request is vouched for.
#[derive(Clone, Debug)]
pub(super) struct Hop<'a> {
    pub(super) method: &'a str,
    /// Path and query.
    pub(super) target: &'a str,
    pub(super) body: &'a [u8],
    /// Milliseconds since 1970.
    pub(super) time: i64,
    /// Names in lower case, with values; those that must not be changed on the way.
    pub(super) headers: Vec<(&'a str, &'a [u8])>,
}

impl Key {
    pub(crate) fn new(secret: &str) -> Self {
        Self(secret.as_bytes().to_vec())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!("HMAC takes keys of any length")
        };
        for part in parts {
            // Lengths first, so that no two lists of parts are the same bytes.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }

    fn code(&self, parts: &[&[u8]]) -> String {
        let mut text = String::new();
        for byte in self.mac(parts).finalize().into_bytes() {
            // Writing to a `String` does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// Compares in a time that does not depend on where the codes differ.
    fn verify(&self, parts: &[&[u8]], code: &str) -> bool {
        let bytes: Option<Vec<u8>> = (code.len() == 64 && code.is_ascii())
            .then(|| {
                (0..32)
                    .map(|at| u8::from_str_radix(&code[2 * at..2 * at + 2], 16).ok())
                    .collect()
            })
            .flatten();
        bytes.is_some_and(|bytes| self.mac(parts).verify_slice(&bytes).is_ok())
    }

    /// A worker's address as others may believe it; without a secret the address itself.
    pub(crate) fn tag(&self, url: &str) -> String {
        if self.is_empty() {
            return url.to_owned();
        }
        format!("{url}#{}", self.code(&[b"worker", url.as_bytes()]))
    }

    /// The address in a tag, if it is one of this cluster.
    pub(super) fn untag<'a>(&self, tag: &'a str) -> Option<&'a str> {
        if self.is_empty() {
            return (!tag.contains('#')).then_some(tag);
        }
        let (url, code) = tag.split_once('#')?;
        self.verify(&[b"worker", url.as_bytes()], code)
            .then_some(url)
    }

    /// The value of the header of a forwarded request.
    pub(super) fn sign(&self, hop: &Hop<'_>) -> String {
        let names: Vec<&str> = hop.headers.iter().map(|(name, _)| *name).collect();
        let code = with_parts(hop, |parts| self.code(parts));
        format!("1;t={};h={};mac={code}", hop.time, names.join(","))
    }

    /// Whether the header vouches for the request as it came; `header` gives the values of its headers.
    pub(super) fn check<'a>(
        &self,
        value: &'a str,
        now: i64,
        mut hop: Hop<'a>,
        header: impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<(), &'static str> {
        const FORM: &str = "the header of a forwarded request is not one of this version";
        let rest = value.strip_prefix("1;t=").ok_or(FORM)?;
        let (time, rest) = rest.split_once(";h=").ok_or(FORM)?;
        let (names, code) = rest.split_once(";mac=").ok_or(FORM)?;
        hop.time = time.parse().map_err(|_| FORM)?;
        let names = names.split(',').filter(|name| !name.is_empty());
        hop.headers = names
            .map(|name| (name, header(name).unwrap_or_default()))
            .collect();
        if !with_parts(&hop, |parts| self.verify(parts, code)) {
            return Err("the request was not forwarded by a worker of this cluster");
        }
        if now.saturating_sub(hop.time).saturating_abs() > SKEW {
            return Err("the request was forwarded too long ago, or the workers' clocks differ");
        }
        Ok(())
    }
}

fn with_parts<R>(hop: &Hop<'_>, with: impl FnOnce(&[&[u8]]) -> R) -> R {
    let (time, body) = (hop.time.to_be_bytes(), Sha256::digest(hop.body));
    // One hop: there is no other number.
    let mut parts: Vec<&[u8]> = vec![
        b"hop 1",
        hop.method.as_bytes(),
        hop.target.as_bytes(),
        &body,
        &time,
    ];
    for (name, value) in &hop.headers {
        parts.extend([name.as_bytes(), *value]);
    }
    with(&parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop() -> Hop<'static> {
        Hop {
            method: "POST",
            target: "/cameras/7?x=1",
            body: b"{}",
            time: 1_000_000,
            headers: vec![("authorization", b"Bearer a")],
        }
    }

    #[test]
    fn nothing_of_a_forwarded_request_can_be_changed() {
        let key = Key::new("secret");
        let value = key.sign(&hop());
        let check = |key: &Key, value: &str, hop: Hop<'static>, now, bearer: &'static [u8]| {
            key.check(value, now, hop, |name| {
                (name == "authorization").then_some(bearer)
            })
        };
        let good: &[u8] = b"Bearer a";
        assert_eq!(check(&key, &value, hop(), 1_020_000, good), Ok(()));
        let others = [
            Hop {
                method: "PUT",
                ..hop()
            },
            Hop {
                target: "/cameras/8?x=1",
                ..hop()
            },
            Hop {
                body: b"[]",
                ..hop()
            },
        ];
        for other in others {
            assert!(check(&key, &value, other, 1_020_000, good).is_err());
        }
        assert!(check(&key, &value, hop(), 1_020_000, b"Bearer b").is_err());
        assert!(
            check(&key, &value, hop(), 1_040_000, good).is_err(),
            "too old"
        );
        assert!(check(&Key::new("other"), &value, hop(), 1_020_000, good).is_err());
        let later = value.replace("t=1000000", "t=1010000");
        assert!(check(&key, &later, hop(), 1_020_000, good).is_err());
        let fewer = value.replace("h=authorization", "h=");
        assert!(check(&key, &fewer, hop(), 1_020_000, good).is_err());
        for wrong in [
            "",
            "1",
            "2;t=1;h=;mac=",
            "1;t=x;h=;mac=00",
            "1;t=1;h=;mac=é",
        ] {
            assert!(
                check(&key, wrong, hop(), 1_020_000, good).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn an_address_is_believed_with_its_tag_only() {
        let key = Key::new("secret");
        let tag = key.tag("http://10.0.0.1:8000");
        assert_eq!(key.untag(&tag), Some("http://10.0.0.1:8000"));
        assert_eq!(key.untag(&tag.replace("10.0.0.1", "10.0.0.2")), None);
        assert_eq!(key.untag("http://10.0.0.1:8000"), None);
        assert_eq!(Key::new("other").untag(&tag), None);
        assert_eq!(Key::default().untag(&tag), None);
        assert_eq!(
            Key::default().untag("http://127.0.0.1:1"),
            Some("http://127.0.0.1:1")
        );
        assert!(!format!("{key:?}").contains("secret"));
    }
}
