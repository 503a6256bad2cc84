//! An identity provider that gives one token to everybody, over TLS with an authority of its own.

use std::io::{Read, Write};
use std::net::TcpListener;

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Name};

pub(crate) struct Provider {
    pub(crate) url: String,
    pub(crate) ca: String,
}

impl Provider {
    pub(crate) fn start(token: String) -> Self {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut name = X509Name::builder().unwrap();
        name.append_entry_by_text("CN", "localhost").unwrap();
        let name = name.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_subject_name(&name).unwrap();
        builder.set_issuer_name(&name).unwrap();
        builder.set_pubkey(&key).unwrap();
        let (from, to) = (Asn1Time::days_from_now(0), Asn1Time::days_from_now(1));
        builder.set_not_before(&from.unwrap()).unwrap();
        builder.set_not_after(&to.unwrap()).unwrap();
        let authority = BasicConstraints::new().ca().build().unwrap();
        builder.append_extension(authority).unwrap();
        let names = SubjectAlternativeName::new()
            .dns("localhost")
            .build(&builder.x509v3_context(None, None))
            .unwrap();
        builder.append_extension(names).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        let certificate = builder.build();
        let ca = String::from_utf8(certificate.to_pem().unwrap()).unwrap();
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        acceptor.set_certificate(&certificate).unwrap();
        acceptor.set_private_key(&key).unwrap();
        let acceptor = acceptor.build();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let body = format!(r#"{{"access_token":"{token}","expires_in":3600}}"#);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for tcp in listener.incoming() {
                let Ok(mut stream) = acceptor.accept(tcp.unwrap()) else {
                    continue;
                };
                let mut buffer = [0; 4096];
                let count = stream.read(&mut buffer).unwrap();
                let asked = String::from_utf8_lossy(&buffer[..count]).into_owned();
                assert!(asked.contains("grant_type=client_credentials"), "{asked}");
                let length = body.len();
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"
                )
                .unwrap();
                let _ = stream.shutdown();
            }
        });
        Self {
            url: format!("https://localhost:{port}/token"),
            ca,
        }
    }
}
