//! What TLS needs of a port: its certificate and key, and whose clients it takes.

use std::sync::{Arc, PoisonError, RwLock};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};

/// The identity of ports, which new connections are shown; `replace` changes it for those to come.
#[pyclass(frozen, module = "towpath_transport")]
pub struct Identity {
    current: Arc<RwLock<Arc<ServerConfig>>>,
}

#[pymethods]
impl Identity {
    /// PEM: the chain, its key, and the authorities of which every client must have a certificate;
    /// None: no client is asked for one. ValueError if TLS cannot use them.
    #[new]
    #[pyo3(signature = (chain, key, client_ca=None))]
    fn new(chain: &[u8], key: &[u8], client_ca: Option<&[u8]>) -> PyResult<Self> {
        let config = server_config(chain, key, client_ca).map_err(PyValueError::new_err)?;
        Ok(Self { current: Arc::new(RwLock::new(config)) })
    }

    /// The same as at the start.
    #[pyo3(signature = (chain, key, client_ca=None))]
    fn replace(&self, chain: &[u8], key: &[u8], client_ca: Option<&[u8]>) -> PyResult<()> {
        let config = server_config(chain, key, client_ca).map_err(PyValueError::new_err)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }
}

impl Identity {
    pub fn current(&self) -> Current {
        Current(self.current.clone())
    }
}

/// What an accepted connection asks for the configuration of the moment.
#[derive(Clone)]
pub struct Current(Arc<RwLock<Arc<ServerConfig>>>);

impl Current {
    pub fn get(&self) -> Arc<ServerConfig> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn server_config(
    chain: &[u8],
    key: &[u8],
    client_ca: Option<&[u8]>,
) -> Result<Arc<ServerConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certificates = certificates(chain, "the certificate chain")?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| format!("the private key: {e}"))?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(bundle) => {
            let mut roots = RootCertStore::empty();
            for root in self::certificates(bundle, "the clients' authorities")? {
                roots.add(root).map_err(|e| format!("the clients' authorities: {e}"))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|e| format!("the clients' authorities: {e}"))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(certificates, key).map_err(|e| e.to_string())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A session that is taken up again would show a certificate that was judged by older files.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn certificates(pem: &[u8], name: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(certificates) if certificates.is_empty() => Err(format!("{name}: no certificate")),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("{name}: {error}")),
    }
}
