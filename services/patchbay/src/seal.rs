//! `patchbay seal`: opens, closes and changes the seal of a running crypto-service.

use crate::remote::{Connection, Remote, refused};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use patchbay_chassis::cli;
use patchbay_proto::crypto::v1::{
    BeginRekeyRequest, CloseSealRequest, ConfirmRekeyRequest, GetSealStatusRequest, GetSealStatusResponse,
    InitializeSealRequest, RotateRootKeyRequest, SealKind, UnsealRequest, seal_client::SealClient,
};
use std::{
    fmt::Write,
    io::{self, BufRead, IsTerminal, Read},
};
use zeroize::Zeroizing;

/// Bytes of standard input at most: 255 shares and the ends of their lines.
const MAX_INPUT: u64 = 64 * 1024;

#[derive(Subcommand)]
pub(crate) enum SealCommand {
    /// Shows whether a replica is sealed, and how its keys are.
    Status(PlainArgs),
    /// Makes the key of an empty store and prints its shares, once.
    Init(ShareArgs),
    /// Brings shares: asks for one at the terminal, or reads one a line from standard input.
    Unseal(UnsealArgs),
    /// Forgets all keys on all replicas, until shares are brought again.
    Close(PlainArgs),
    /// Makes a new root key; everything is wrapped anew in the background.
    RotateRoot(PlainArgs),
    /// Makes a new seal key and prints its shares; with `--confirm`, brings them back, which puts it in place.
    Rekey(RekeyArgs),
}

#[derive(Args)]
pub(crate) struct PlainArgs {
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(crate) struct ShareArgs {
    /// Shares to make; give each to another person.
    #[arg(long, default_value_t = 5)]
    shares: u32,
    /// Shares that are needed.
    #[arg(long, default_value_t = 3)]
    threshold: u32,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(crate) struct UnsealArgs {
    /// Forgets the shares that were brought so far; nothing is asked for then.
    #[arg(long)]
    reset: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(crate) struct RekeyArgs {
    /// Brings shares of the key that was begun.
    #[arg(long)]
    confirm: bool,
    #[command(flatten)]
    shares: ShareArgs,
}

/// Does what was asked and says so.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(command: SealCommand) -> anyhow::Result<()> {
    let said = match command {
        SealCommand::Status(args) => status(&args.remote).await?,
        SealCommand::Init(args) => init(&args).await?,
        SealCommand::Unseal(args) if args.reset => reset(&args.remote).await?,
        SealCommand::Unseal(args) => unseal(&args.remote).await?,
        SealCommand::Close(args) => {
            let answer = client(&args.remote).await?.close_seal(CloseSealRequest {}).await;
            answer.map_err(|status| refused(&status))?;
            "all replicas are sealed; bring the shares to open them: patchbay seal unseal".to_owned()
        }
        SealCommand::RotateRoot(args) => rotate(&args.remote).await?,
        SealCommand::Rekey(args) if args.confirm => confirm(&args.shares.remote).await?,
        SealCommand::Rekey(args) => rekey(&args.shares).await?,
    };
    Ok(cli::print(said.trim_end())?)
}

async fn client(remote: &Remote) -> anyhow::Result<SealClient<Connection>> {
    Ok(SealClient::new(remote.connect().await?))
}

async fn status(remote: &Remote) -> anyhow::Result<String> {
    let answer = SealClient::new(remote.stranger().await?).get_seal_status(GetSealStatusRequest {}).await;
    Ok(shown(&answer.map_err(|status| refused(&status))?.into_inner()))
}

async fn init(args: &ShareArgs) -> anyhow::Result<String> {
    let request = InitializeSealRequest { shares: args.shares, threshold: args.threshold };
    let answer = client(&args.remote).await?.initialize_seal(request).await;
    let shares = answer.map_err(|status| refused(&status))?.into_inner().shares;
    Ok(format!(
        "{}\n\nThese shares are shown once and are nowhere else. Give each to another person. The store is opened, and begins, when {} of them have been \
         brought: patchbay seal unseal",
        shares.join("\n"),
        args.threshold
    ))
}

async fn reset(remote: &Remote) -> anyhow::Result<String> {
    let request = UnsealRequest { share: String::new(), reset: true };
    let answer = SealClient::new(remote.stranger().await?).unseal(request).await;
    answer.map_err(|status| refused(&status))?;
    Ok("what was brought is forgotten".to_owned())
}

async fn unseal(remote: &Remote) -> anyhow::Result<String> {
    let mut client = SealClient::new(remote.stranger().await?);
    let mut last = None;
    for share in read_shares()? {
        let request = UnsealRequest { share: share.to_string(), reset: false };
        let answer = client.unseal(request).await.map_err(|status| refused(&status))?;
        last = answer.into_inner().status;
    }
    Ok(shown(&last.context("crypto-service did not tell how it is")?))
}

async fn rotate(remote: &Remote) -> anyhow::Result<String> {
    let answer = client(remote).await?.rotate_root_key(RotateRootKeyRequest {}).await;
    let made = answer.map_err(|status| refused(&status))?.into_inner();
    Ok(format!(
        "root key {} (generation {}) wraps everything from now on; see `patchbay seal status` for what is left to wrap anew",
        made.root_key_id, made.root_generation
    ))
}

async fn rekey(args: &ShareArgs) -> anyhow::Result<String> {
    let request = BeginRekeyRequest { shares: args.shares, threshold: args.threshold };
    let answer = client(&args.remote).await?.begin_rekey(request).await;
    let shares = answer.map_err(|status| refused(&status))?.into_inner().shares;
    Ok(format!(
        "{}\n\nThese shares are shown once and are nowhere else. The old key stays until {} of them have been brought back within ten minutes: patchbay \
         seal rekey --confirm",
        shares.join("\n"),
        args.threshold
    ))
}

async fn confirm(remote: &Remote) -> anyhow::Result<String> {
    let mut client = client(remote).await?;
    let mut said = String::new();
    for share in read_shares()? {
        let answer = client.confirm_rekey(ConfirmRekeyRequest { share: share.to_string() }).await;
        let answer = answer.map_err(|status| refused(&status))?.into_inner();
        let status = answer.status.unwrap_or_default();
        if answer.done {
            return Ok("the new seal key is in place. Where the key came from a file or a passphrase: set root_key.shares = true, take the file away, \
                       and run `patchbay seal rotate-root`, after which nothing is wrapped by what it was made of"
                .to_owned());
        }
        said = format!("{} of {} shares", status.rekey_progress, status.rekey_threshold);
    }
    Ok(said)
}

/// One share from the terminal, which shows nothing of it, or one a line from standard input. Never from an argument: those stand in the shell's history.
fn read_shares() -> anyhow::Result<Vec<Zeroizing<String>>> {
    if io::stdin().is_terminal() {
        let share = rpassword::prompt_password("Share: ").context("could not ask for a share")?;
        return Ok(vec![Zeroizing::new(share)]);
    }
    let lines = io::stdin().lock().take(MAX_INPUT).lines();
    let shares = lines.map(|line| line.map(Zeroizing::new)).collect::<Result<Vec<_>, _>>();
    let mut shares = shares.context("could not read shares from standard input")?;
    shares.retain(|share| !share.trim().is_empty());
    if shares.is_empty() {
        bail!("standard input has no share: give one a line");
    }
    Ok(shares)
}

fn shown(status: &GetSealStatusResponse) -> String {
    let mut text = String::new();
    let kind = match status.kind() {
        SealKind::File => "a file",
        SealKind::Passphrase => "a passphrase",
        SealKind::Shares => "shares",
        SealKind::Unspecified => "unknown: the store does not answer",
    };
    let state = match (status.initialized, status.sealed) {
        (_, false) => "open",
        (true, true) => "sealed",
        (false, true) => "sealed, and not initialized: patchbay seal init",
    };
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _written = writeln!(text, "{name:<12}{value}");
    };
    line("replica", status.node.clone());
    line("state", state.to_owned());
    line("seal key", kind.to_owned());
    if status.threshold > 0 {
        line("shares", format!("{} of {} are needed", status.threshold, status.shares));
    }
    if status.sealed {
        line("brought", status.progress.to_string());
        return text;
    }
    line("root key", format!("{}, generation {}", status.root_key_id, status.root_generation));
    line("to rewrap", format!("{} rows", status.rows_to_rewrap));
    if status.rekey_threshold > 0 {
        line("rekey", format!("{} of {} shares", status.rekey_progress, status.rekey_threshold));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_what_to_do() {
        let empty =
            GetSealStatusResponse { sealed: true, kind: SealKind::Shares.into(), ..Default::default() };
        assert!(shown(&empty).contains("patchbay seal init"));
        let sealed = GetSealStatusResponse {
            initialized: true,
            shares: 5,
            threshold: 3,
            progress: 2,
            ..empty.clone()
        };
        let text = shown(&sealed);
        assert!(text.contains("3 of 5 are needed") && text.contains("brought     2"), "{text}");
        let open = GetSealStatusResponse { sealed: false, rows_to_rewrap: 7, ..sealed };
        assert!(shown(&open).contains("7 rows") && !shown(&open).contains("brought"));
    }
}
