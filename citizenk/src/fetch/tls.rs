//! Whom a client trusts, and who it says it is.

use std::path::Path;

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslConnector, SslConnectorBuilder, SslMethod};
use openssl::x509::X509;

use crate::config::{Pem, Secret};

/// Whom a client trusts, and who it says it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    /// The authorities; otherwise those of the system.
    pub(crate) ca: Option<Pem>,
    pub(crate) identity: Option<Identity>,
}

/// A client's certificate and its key.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) certificate: Pem,
    pub(crate) key: Pem,
    pub(crate) key_password: Option<Secret>,
}

impl Trust {
    /// What makes TLS connections; reads the files.
    ///
    /// # Errors
    /// Which of them cannot be used, and why.
    pub(crate) fn connector(&self) -> Result<SslConnector, String> {
        let mut builder =
            SslConnector::builder(SslMethod::tls_client()).map_err(|e| e.to_string())?;
        let named = |what: &'static str| move |error: ErrorStack| format!("{what}: {error}");
        self.authorities(&mut builder)
            .map_err(named("the authorities' certificates cannot be used"))?;
        if let Some(identity) = &self.identity {
            identity
                .certificate(&mut builder)
                .map_err(named("the client's certificate cannot be used"))?;
            let key = identity.key()?;
            builder
                .set_private_key(&key)
                .and_then(|()| builder.check_private_key())
                .map_err(named("the client's key does not fit its certificate"))?;
        }
        Ok(builder.build())
    }

    fn authorities(&self, builder: &mut SslConnectorBuilder) -> Result<(), ErrorStack> {
        match &self.ca {
            Some(Pem::Text(text)) => {
                for certificate in X509::stack_from_pem(text.expose().as_bytes())? {
                    builder.cert_store_mut().add_cert(certificate)?;
                }
            }
            Some(Pem::File(path)) => {
                let path = Path::new(path);
                let (file, folder) = if path.is_dir() {
                    (None, Some(path))
                } else {
                    (Some(path), None)
                };
                builder.load_verify_locations(file, folder)?;
            }
            None => {
                // An OpenSSL that was linked in looks where it was built to look, not where this system has them.
                let system = openssl_probe::probe();
                let folder = system.cert_dir.first().map(std::path::PathBuf::as_path);
                if system.cert_file.is_some() || folder.is_some() {
                    // A folder that cannot be read is no reason to end: the handshake says what is missing.
                    let _ = builder.load_verify_locations(system.cert_file.as_deref(), folder);
                }
            }
        }
        Ok(())
    }
}

impl Identity {
    fn certificate(&self, builder: &mut SslConnectorBuilder) -> Result<(), ErrorStack> {
        match &self.certificate {
            Pem::File(path) => builder.set_certificate_chain_file(path),
            Pem::Text(text) => {
                let mut chain = X509::stack_from_pem(text.expose().as_bytes())?.into_iter();
                if let Some(own) = chain.next() {
                    builder.set_certificate(&own)?;
                }
                chain.try_for_each(|above| builder.add_extra_chain_cert(above))
            }
        }
    }

    fn key(&self) -> Result<PKey<Private>, String> {
        let read;
        let pem = match &self.key {
            Pem::File(path) => {
                read = std::fs::read(path).map_err(|error| format!("the client's key: {error}"))?;
                read.as_slice()
            }
            Pem::Text(text) => text.expose().as_bytes(),
        };
        let key = match &self.key_password {
            Some(password) => {
                PKey::private_key_from_pem_passphrase(pem, password.expose().as_bytes())
            }
            // Without a callback OpenSSL would ask at the terminal.
            None => PKey::private_key_from_pem_callback(pem, |_| Ok(0)),
        };
        key.map_err(|error| format!("the client's key cannot be read: {error}"))
    }
}
