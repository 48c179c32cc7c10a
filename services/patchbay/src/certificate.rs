//! `patchbay tls certificate`: a certificate for any server, by the local authority.

use anyhow::Context;
use clap::Args;
use patchbay_chassis::{Clock, cli};
use patchbay_tls::Authority;
use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Flags of `patchbay tls certificate`.
#[derive(Args)]
pub(crate) struct CertificateArgs {
    /// Name or address of the server; may be given several times.
    #[arg(long, value_name = "NAME", required = true)]
    name: Vec<String>,
    /// Folder for `certificate.pem` and `key.pem`, which must not be there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Folder of the local authority; it is made there if there is none.
    #[arg(long, value_name = "DIR", default_value = crate::cli::DATA)]
    data: PathBuf,
}

/// Signs it and writes both files.
pub(crate) fn run(args: &CertificateArgs) -> anyhow::Result<()> {
    let folder = args.data.join("tls");
    let signed = Authority::open(&folder, &Clock::system())?.sign(&args.name)?;
    fs::create_dir_all(&args.out).with_context(|| format!("could not make {}", args.out.display()))?;
    let (certificate, key) = (args.out.join("certificate.pem"), args.out.join("key.pem"));
    write_new(&key, &signed.key, 0o600)?;
    if let Err(error) = write_new(&certificate, &signed.certificate, 0o644) {
        // The key that was just written is of no use to anybody.
        fs::remove_file(&key).with_context(|| format!("could not remove {}", key.display()))?;
        return Err(error);
    }
    cli::print(&format!(
        "Wrote {} and {}, good for 90 days. Clients have to trust {}",
        certificate.display(),
        key.display(),
        Authority::certificate_file(&folder).display()
    ))?;
    Ok(())
}

/// A key that is there may be in use, and is never written over.
fn write_new(path: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("could not write {}", path.display()))
}
