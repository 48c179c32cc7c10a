//! `patchbay key`: named keys of a running crypto-service.

use crate::remote::{Connection, Remote, refused};
use clap::{Args, Subcommand};
use patchbay_chassis::cli;
use patchbay_proto::crypto::v1::{Key, ListKeysRequest, RotateKeyRequest, keys_client::KeysClient};

/// Keys asked for at once.
const PAGE: u32 = 1000;

#[derive(Subcommand)]
pub(crate) enum KeyCommand {
    /// Lists keys.
    List(ListArgs),
    /// Makes a new version of a key, which encrypts and signs from now on.
    Rotate(RotateArgs),
}

#[derive(Args)]
pub(crate) struct ListArgs {
    /// Only names that start with this.
    #[arg(long, default_value = "")]
    prefix: String,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(crate) struct RotateArgs {
    /// Name of the key.
    name: String,
    #[command(flatten)]
    remote: Remote,
}

/// Does what was asked and says so.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(command: KeyCommand) -> anyhow::Result<()> {
    let said = match command {
        KeyCommand::List(args) => list(KeysClient::new(args.remote.connect().await?), args.prefix).await?,
        KeyCommand::Rotate(args) => {
            let mut client = KeysClient::new(args.remote.connect().await?);
            let answer = client.rotate_key(RotateKeyRequest { name: args.name.clone() }).await;
            let key = answer.map_err(|status| refused(&status))?.into_inner().key.unwrap_or_default();
            format!("{} has version {}", args.name, key.latest_version)
        }
    };
    Ok(cli::print(said.trim_end())?)
}

async fn list(mut client: KeysClient<Connection>, prefix: String) -> anyhow::Result<String> {
    let mut lines = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListKeysRequest { page_size: PAGE, page_token, prefix: prefix.clone() };
        let page = client.list_keys(request).await.map_err(|status| refused(&status))?.into_inner();
        lines.extend(page.keys.iter().map(line));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    Ok(if lines.is_empty() { "there are no keys".to_owned() } else { lines.join("\n") })
}

fn line(key: &Key) -> String {
    let kind = key.r#type().as_str_name().trim_start_matches("KEY_TYPE_").to_lowercase().replace('_', "-");
    let state = if key.disabled { "disabled" } else { "enabled" };
    format!("{:<32} {kind:<24} {state:<8}  version {}", key.name, key.latest_version)
}
