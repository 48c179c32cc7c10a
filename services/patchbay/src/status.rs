//! `patchbay status`: how a running suite is, for people.

use crate::{cli::DATA, keys, token};
use anyhow::Context;
use clap::Args;
use patchbay_chassis::cli;
use patchbay_proto::console::v1::{
    ListNodesRequest, ListNodesResponse, Node, overview_client::OverviewClient,
};
use serde::Deserialize;
use std::{fmt::Write as _, path::PathBuf, time::Duration};
use tonic::{Request, metadata::MetadataValue, transport::Endpoint};

/// Time for the console to answer.
const TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Args)]
pub(crate) struct StatusArgs {
    /// Port for operators.
    #[arg(long, default_value = "http://127.0.0.1:9200")]
    url: String,
    /// gRPC port of the console, which lists all replicas.
    #[arg(long, default_value = "http://127.0.0.1:9100")]
    console: String,
    /// Data folder whose key signs the question to the console.
    #[arg(long, value_name = "DIR", default_value = DATA)]
    data: PathBuf,
}

/// `/readyz`.
#[derive(Deserialize)]
struct Readiness {
    status: String,
    version: String,
    components: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    service: String,
    component: String,
    status: String,
    reason: String,
}

/// Prints readiness and, where the console answers, every replica with its figures.
pub(crate) fn show(args: &StatusArgs) -> anyhow::Result<()> {
    let body = cli::http_get(&args.url, "/readyz").with_context(|| format!("no answer from {}", args.url))?.1;
    let readiness: Readiness = serde_json::from_str(&body).context("the answer is not Patchbay's")?;
    let mut text = format!("patchbay {}: {}\n\n", readiness.version, readiness.status);
    for Line { service, component, status, reason } in &readiness.components {
        writeln!(text, "  {service:<14} {component:<14} {status:<10} {reason}")?;
    }
    if args.data.join("keys").exists() {
        match nodes(args) {
            Ok(nodes) => describe(&mut text, &nodes)?,
            Err(error) => writeln!(text, "\n  replicas: not known ({error:#})")?,
        }
    }
    Ok(cli::print(text.trim_end())?)
}

fn describe(text: &mut String, list: &ListNodesResponse) -> std::fmt::Result {
    let answers = if list.backplane_up { "answers" } else { "does not answer" };
    writeln!(text, "\n  backplane: {}, {answers}\n", list.backplane)?;
    for node in &list.nodes {
        let uptime = node.uptime.map_or(0, |uptime| uptime.seconds);
        let state = node.state().as_str_name().trim_start_matches("NODE_STATE_").to_lowercase();
        writeln!(text, "  {:<14} {:<36} {state:<10} up {uptime} s  {}", node.service, node.id, node.detail)?;
        writeln!(text, "  {:<14} {}", "", figures(node))?;
    }
    Ok(())
}

fn figures(node: &Node) -> String {
    let mut figures: Vec<String> =
        node.figures.iter().map(|(name, value)| format!("{name}={value}")).collect();
    figures.sort();
    figures.join(" ")
}

#[tokio::main(flavor = "current_thread")]
async fn nodes(args: &StatusArgs) -> anyhow::Result<ListNodesResponse> {
    let token = token::for_operator(&keys::issuer(None, &args.data)?)?;
    let endpoint = Endpoint::from_shared(args.console.clone())?.connect_timeout(TIMEOUT).timeout(TIMEOUT);
    let mut client = OverviewClient::new(endpoint.connect().await.context("the console does not answer")?);
    let mut request = Request::new(ListNodesRequest {});
    request.metadata_mut().insert("authorization", MetadataValue::try_from(format!("Bearer {token}"))?);
    let answer = client.list_nodes(request).await;
    Ok(answer
        .map_err(|status| anyhow::anyhow!("the console answered {}: {}", status.code(), status.message()))?
        .into_inner())
}
