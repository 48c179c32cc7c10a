//! Certificates for the servers: a root, an intermediate under it, and what each server shows. What no current library makes is made by `openssl`.

use anyhow::{Result, ensure};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SignatureAlgorithm, date_time_ymd,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// The name that is asked for.
pub(crate) const NAME: &str = "www.example.com";

/// A folder with the root, the intermediate, and the certificates that were asked for.
pub(crate) struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// Files of one server.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn create() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (root, root_key) = (authority("Root of tests"), KeyPair::generate_for(&PKCS_RSA_SHA256)?);
        fs::write(folder.path().join("root.pem"), root.self_signed(&root_key)?.pem())?;
        let root = Issuer::new(root, root_key);
        let (params, key) = (authority("Intermediate of tests"), KeyPair::generate_for(&PKCS_RSA_SHA256)?);
        fs::write(folder.path().join("intermediate.pem"), params.signed_by(&key, &root)?.pem())?;
        fs::write(folder.path().join("intermediate.key"), key.serialize_pem())?;
        Ok(Self { folder, issuer: Issuer::new(params, key) })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder().join("root.pem")
    }

    pub(crate) fn intermediate(&self) -> PathBuf {
        self.folder().join("intermediate.pem")
    }

    pub(crate) fn rsa(&self, name: &str) -> Result<Identity> {
        self.signed(name, &PKCS_RSA_SHA256, &server(NAME))
    }

    pub(crate) fn ecdsa(&self, name: &str) -> Result<Identity> {
        self.signed(name, &PKCS_ECDSA_P256_SHA256, &server(NAME))
    }

    pub(crate) fn expired(&self, name: &str) -> Result<Identity> {
        let mut params = server(NAME);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.signed(name, &PKCS_RSA_SHA256, &params)
    }

    pub(crate) fn for_another_host(&self, name: &str) -> Result<Identity> {
        self.signed(name, &PKCS_RSA_SHA256, &server("mail.example.com"))
    }

    pub(crate) fn self_signed(&self, name: &str) -> Result<Identity> {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256)?;
        let certificate = server(NAME).self_signed(&key)?.pem();
        self.keep(name, &certificate, &key)
    }

    /// One with a key of a kind, or a hash function, that the library has not.
    pub(crate) fn by_openssl(&self, name: &str, key: &str, hash: &str) -> Result<Identity> {
        fs::write(
            self.folder().join("names"),
            format!("subjectAltName=DNS:{NAME}\nextendedKeyUsage=serverAuth\n"),
        )?;
        self.openssl(&format!(
            "req -nodes -newkey {key} -keyout {name}.key -out {name}.csr -subj /CN={NAME}"
        ))?;
        let signing = "-CA intermediate.pem -CAkey intermediate.key -CAcreateserial -days 200 -extfile names";
        self.openssl(&format!("x509 -req -in {name}.csr {signing} -{hash} -out {name}.pem"))?;
        Ok(self.identity(name))
    }

    fn signed(
        &self,
        name: &str,
        algorithm: &'static SignatureAlgorithm,
        params: &CertificateParams,
    ) -> Result<Identity> {
        let key = KeyPair::generate_for(algorithm)?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        self.keep(name, &certificate, &key)
    }

    fn keep(&self, name: &str, certificate: &str, key: &KeyPair) -> Result<Identity> {
        let identity = self.identity(name);
        fs::write(&identity.certificate, certificate)?;
        fs::write(&identity.key, key.serialize_pem())?;
        Ok(identity)
    }

    fn identity(&self, name: &str) -> Identity {
        Identity {
            certificate: self.folder().join(format!("{name}.pem")),
            key: self.folder().join(format!("{name}.key")),
        }
    }

    fn openssl(&self, arguments: &str) -> Result<()> {
        let output =
            Command::new("openssl").args(arguments.split(' ')).current_dir(self.folder()).output()?;
        ensure!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

fn server(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a DNS name is a name");
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = date_time_ymd(2024, 1, 1);
    params.not_after = date_time_ymd(2036, 1, 1);
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2040, 1, 1);
    params
}
