//! Why there is no certificate.

use std::{io, path::PathBuf};

/// Why a listener's certificate cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A local authority needs a place.
    #[error("tls.development needs a folder: set data.dir")]
    NoFolder,
    /// A file cannot be read.
    #[error("could not read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("could not write {path}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process does not finish.
    #[error("another process holds {path} and does not let go of it: look whether it is stopped, and end it")]
    Busy {
        /// The file that is locked.
        path: PathBuf,
    },
    /// A key can be read by who knows a passphrase.
    #[error(
        "the private key in {path} is encrypted with a passphrase, for which nobody can be asked here: write it without one (`openssl pkey -in KEY -out PLAIN_KEY`) into a file that only this service can read"
    )]
    Encrypted {
        /// Where it is.
        path: PathBuf,
    },
    /// A file has no PEM of the kind that is needed.
    #[error("could not find {what} in {path}")]
    Pem {
        /// `a certificate`, `a private key`.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A certificate is not one.
    #[error("could not understand the certificate in {path}")]
    NotACertificate {
        /// Where it is.
        path: PathBuf,
    },
    /// Certificate and key do not fit, or are of a kind that is not supported.
    #[error("could not use the certificate in {path}")]
    Unusable {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The authority's halves are not of one pair.
    #[error(
        "ca.pem and ca.key in {folder} do not belong together: put the right ones there, or remove both and trust the new ca.pem"
    )]
    NotAPair {
        /// Where they are.
        folder: PathBuf,
    },
    /// The authority must not sign for a name.
    #[error(
        "the local authority does not sign for `{0}`, only for this machine, private addresses and names below localhost, local, lan, internal, home.arpa, test and example: get a certificate for it and configure its files"
    )]
    NotPermitted(String),
    /// A text that cannot stand in a certificate.
    #[error("`{0}` is neither a host name nor an address")]
    NotAName(String),
    /// A certificate cannot be made.
    #[error("could not make a certificate")]
    Make(#[from] rcgen::Error),
    /// The versions or suites do not fit the library.
    #[error("could not set TLS up")]
    Setup(#[from] rustls::Error),
}
