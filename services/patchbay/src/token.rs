//! `patchbay token create`: signs tokens with the issuer's key, whether crypto-service runs or not.

use crate::{cli::DATA, keys::KeyFolder};
use anyhow::Context;
use clap::Args;
use patchbay_auth::{Claims, KeyOwner, Scope, Signer};
use patchbay_chassis::{Span, cli};
use std::{path::PathBuf, time::Duration};

/// What a signed-in person's token lives at most; longer ones are for an operator's own hands.
const USUAL_TTL: Duration = Duration::from_mins(15);

#[derive(Args)]
pub(crate) struct TokenArgs {
    /// Whose token it is.
    #[arg(long, value_name = "NAME")]
    sub: String,
    /// What it allows, such as `chat:publish:room/lobby` or `admin`; may be repeated.
    #[arg(long = "scope", value_name = "SCOPE", required = true, num_args = 1..)]
    scopes: Vec<Scope>,
    /// How long it is good; 24 hours at most.
    #[arg(long, default_value = "15m")]
    ttl: Span,
    /// Display name.
    #[arg(long)]
    name: Option<String>,
    /// Address of a picture.
    #[arg(long, value_name = "URL")]
    avatar: Option<String>,
    /// Data folder whose key signs; it is made on first use.
    #[arg(long, value_name = "DIR", default_value = DATA)]
    data: PathBuf,
    /// Key file that signs, instead of the data folder's.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    key: Option<PathBuf>,
}

/// Signs a token and prints it.
pub(crate) fn create(args: TokenArgs) -> anyhow::Result<()> {
    let ttl = args.ttl.duration();
    let claims = Claims { name: args.name, avatar: args.avatar, ttl, ..Claims::new(args.sub, args.scopes) };
    let token = match args.key {
        Some(path) => mint(&Signer::load(&path, KeyOwner::Issuer)?, claims)?,
        None => mint(KeyFolder::open(&args.data)?.signer(), claims)?,
    };
    Ok(cli::print(&token)?)
}

/// A token for the operator of this machine: for the console's first link, and for commands that call a service.
pub(crate) fn for_operator(signer: &Signer) -> anyhow::Result<String> {
    let claims = Claims { name: Some("Operator".to_owned()), ..Claims::new("operator", vec![Scope::Admin]) };
    mint(signer, claims)
}

fn mint(signer: &Signer, claims: Claims) -> anyhow::Result<String> {
    let token = if claims.ttl > USUAL_TTL { signer.mint_long_lived(claims) } else { signer.mint(claims) };
    token.context("could not sign the token")
}
