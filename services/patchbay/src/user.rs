//! `patchbay user`: accounts of a running crypto-service.

use crate::{
    password::PasswordArgs,
    remote::{Connection, Remote, refused},
};
use clap::{Args, Subcommand};
use patchbay_auth::Scope;
use patchbay_chassis::cli;
use patchbay_proto::crypto::v1::{
    Account, CreateAccountRequest, DeleteAccountRequest, ListAccountsRequest, SetPasswordRequest,
    UnlockAccountRequest, UpdateAccountRequest, accounts_client::AccountsClient,
};

/// Accounts asked for at once.
const PAGE: u32 = 1000;

#[derive(Subcommand)]
pub(crate) enum UserCommand {
    /// Makes an account.
    Create(CreateArgs),
    /// Lists accounts.
    List(ListArgs),
    /// Sets an account's password, lifts its lock and ends its sessions.
    SetPassword(SetPasswordArgs),
    /// Keeps an account from signing in and ends its sessions at once.
    Disable(NameArgs),
    /// Lets a disabled account sign in again.
    Enable(NameArgs),
    /// Lifts the lock that wrong passwords have caused.
    Unlock(NameArgs),
    /// Removes an account with its sessions, API keys and credentials.
    Delete(NameArgs),
}

#[derive(Args)]
pub(crate) struct CreateArgs {
    /// Name to sign in with: lower-case letters, digits, `.`, `-`, `_`.
    name: String,
    /// What it may do, such as `chat:publish:room/*` or `admin`; may be repeated.
    #[arg(long = "scope", value_name = "SCOPE", num_args = 1..)]
    scopes: Vec<Scope>,
    /// Group whose scopes it has in addition; may be repeated.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Name shown to others.
    #[arg(long, value_name = "NAME", default_value = "")]
    display_name: String,
    /// Makes an account that cannot sign in with a password, for programs that use API keys.
    #[arg(long, conflicts_with = "password_file")]
    no_password: bool,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(crate) struct SetPasswordArgs {
    /// Whose.
    name: String,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Args)]
pub(crate) struct NameArgs {
    /// Name of the account.
    name: String,
    #[command(flatten)]
    remote: Remote,
}

/// Does what was asked and says so in a line.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(command: UserCommand) -> anyhow::Result<()> {
    let said = match command {
        UserCommand::Create(args) => create(args).await?,
        UserCommand::List(args) => list(client(&args.remote).await?).await?,
        UserCommand::SetPassword(args) => set_password(args).await?,
        UserCommand::Disable(args) => set_disabled(args, Access::Disabled).await?,
        UserCommand::Enable(args) => set_disabled(args, Access::Enabled).await?,
        UserCommand::Unlock(args) => {
            let request = UnlockAccountRequest { name: args.name.clone() };
            let answer = client(&args.remote).await?.unlock_account(request).await;
            answer.map(|_| format!("{} is not locked", args.name)).map_err(|status| refused(&status))?
        }
        UserCommand::Delete(args) => {
            let request = DeleteAccountRequest { name: args.name.clone() };
            let answer = client(&args.remote).await?.delete_account(request).await;
            answer.map(|_| format!("{} is deleted", args.name)).map_err(|status| refused(&status))?
        }
    };
    Ok(cli::print(said.trim_end())?)
}

async fn client(remote: &Remote) -> anyhow::Result<AccountsClient<Connection>> {
    Ok(AccountsClient::new(remote.connect().await?))
}

async fn create(args: CreateArgs) -> anyhow::Result<String> {
    let password = if args.no_password { String::new() } else { args.password.read()?.to_string() };
    let request = CreateAccountRequest {
        name: args.name.clone(),
        password,
        display_name: args.display_name,
        avatar: String::new(),
        scopes: args.scopes.iter().map(ToString::to_string).collect(),
        groups: args.groups,
    };
    let answer = client(&args.remote).await?.create_account(request).await;
    answer.map(|_| format!("{} is made", args.name)).map_err(|status| refused(&status))
}

async fn set_password(args: SetPasswordArgs) -> anyhow::Result<String> {
    let request = SetPasswordRequest { name: args.name.clone(), password: args.password.read()?.to_string() };
    let answer = client(&args.remote).await?.set_password(request).await;
    answer.map(|_| format!("{} has a new password", args.name)).map_err(|status| refused(&status))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Enabled,
    Disabled,
}

async fn set_disabled(args: NameArgs, access: Access) -> anyhow::Result<String> {
    let request = UpdateAccountRequest {
        name: args.name.clone(),
        disabled: Some(access == Access::Disabled),
        ..UpdateAccountRequest::default()
    };
    let answer = client(&args.remote).await?.update_account(request).await;
    let state = if access == Access::Disabled { "disabled" } else { "enabled" };
    answer.map(|_| format!("{} is {state}", args.name)).map_err(|status| refused(&status))
}

async fn list(mut client: AccountsClient<Connection>) -> anyhow::Result<String> {
    let mut lines = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListAccountsRequest { page_size: PAGE, page_token };
        let page = client.list_accounts(request).await.map_err(|status| refused(&status))?.into_inner();
        lines.extend(page.accounts.iter().map(line));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    Ok(if lines.is_empty() { "there are no accounts".to_owned() } else { lines.join("\n") })
}

fn line(account: &Account) -> String {
    let state = match (account.disabled, &account.locked_until) {
        (true, _) => "disabled",
        (false, Some(_)) => "locked",
        (false, None) => "enabled",
    };
    let groups = account.groups.iter().map(|group| format!("@{group}"));
    let grants: Vec<String> = account.scopes.iter().cloned().chain(groups).collect();
    format!("{:<24} {state:<8}  {:<24}  {}", account.name, account.display_name, grants.join(" "))
}
