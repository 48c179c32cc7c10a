//! The reference of crypto-service's calls says what the interface says, and the interface says what the service asks.

use anyhow::{Context, Result, bail};
use crypto_service::{METHODS, Method};
use integration_tests::verdict::TestResult;
use patchbay_auth::Requirement;
use patchbay_testkit::binaries::workspace;
use prost_reflect::{DescriptorPool, MethodDescriptor, ServiceDescriptor};
use std::{collections::BTreeMap, fmt::Write as _, fs};

/// The page.
const PAGE: &str = "docs/reference/crypto.md";

/// Services in the order of the page.
const SERVICES: [&str; 12] = [
    "Accounts",
    "Tokens",
    "Keys",
    "Data",
    "Streams",
    "Agreement",
    "Passwords",
    "Hash",
    "Encoding",
    "Tls",
    "Seal",
    "Admin",
];

/// What the comment of a call says.
struct Call {
    name: String,
    path: String,
    what: String,
    who: Who,
    reasons: String,
}

/// Who may call, as the comment says.
#[derive(Clone, PartialEq, Eq)]
enum Who {
    Anybody,
    AnyToken,
    Scope(String),
}

#[test]
fn the_interface_says_what_the_service_asks() -> TestResult {
    let calls: BTreeMap<String, Call> = calls()?.into_iter().map(|call| (call.path.clone(), call)).collect();
    assert_eq!(calls.len(), METHODS.len(), "the table of methods and the interface have different calls");
    for method in METHODS {
        let call =
            calls.get(method.path).with_context(|| format!("{} is not in the interface", method.path))?;
        check(method, call)?;
    }
    Ok(())
}

fn check(method: &Method, call: &Call) -> Result<()> {
    let fits = match (method.requirement, &call.who) {
        (Requirement::Open, Who::Anybody) | (Requirement::AnyToken, Who::AnyToken) => true,
        // The method itself looks whose it is.
        (Requirement::AnyToken, Who::Scope(text)) => {
            ["own need", "oneself none", "own none", "any token"].iter().any(|words| text.contains(words))
        }
        (Requirement::Scope { service, action }, Who::Scope(text)) => {
            text.starts_with(&format!("`{service}:{action}:"))
        }
        (Requirement::AnyScope(scopes), Who::Scope(text)) => {
            let (service, action) = scopes.first().copied().unwrap_or_default();
            text.starts_with(&format!("`{service}:{action}:"))
        }
        _ => false,
    };
    if !fits {
        bail!("{}: the interface's comment and the table of methods disagree", method.path);
    }
    Ok(())
}

#[test]
fn the_reference_is_that_of_the_interface() -> TestResult {
    let page = page()?;
    let path = workspace().join(PAGE);
    let there = fs::read_to_string(&path).unwrap_or_default();
    let fresh = workspace().join("target/crypto.md");
    fs::write(&fresh, &page)?;
    assert!(there == page, "{PAGE} is stale: copy {} over it", fresh.display());
    Ok(())
}

fn page() -> Result<String> {
    let mut page = String::from(
        "# crypto-service: calls\n\n\
         Generated from [the interface](../../proto/patchbay/crypto/v1), which says more of each call and its fields. gRPC is on port 9107, REST on 8200 and\n\
         under `/crypto` at the edge. REST takes and gives the same messages as JSON: a field in the path or the query is a field of the request, bytes are Base64.\n\
         A key's operation is also allowed by `keys:use:<key>` (all of Data, Streams and Agreement) or `keys:manage:<name>` (create, import, read, list,\n\
         rotate, trim, csr). Every call may fail with `PERMISSION_DENIED`, one of the [token reasons](scopes.md#tokens), `UNAVAILABLE`, `SEALED` or `INTERNAL`.\n",
    );
    let doors: BTreeMap<&str, String> = METHODS
        .iter()
        .map(|method| {
            let door = method.door.map(|door| format!("`{} {}`", door.verb, door.path));
            (method.path, door.unwrap_or_default())
        })
        .collect();
    let calls = calls()?;
    for service in SERVICES {
        write!(page, "\n## {service}\n\n| call | REST | who | reasons |\n|---|---|---|---|\n")?;
        let prefix = format!("/patchbay.crypto.v1.{service}/");
        for call in calls.iter().filter(|call| call.path.starts_with(&prefix)) {
            let who = match &call.who {
                Who::Anybody => "anybody",
                Who::AnyToken => "any token",
                Who::Scope(text) => text,
            };
            let door = doors.get(call.path.as_str()).map(String::as_str).unwrap_or_default();
            writeln!(page, "| `{}`: {} | {door} | {who} | {} |", call.name, call.what, call.reasons)?;
        }
    }
    Ok(page)
}

fn calls() -> Result<Vec<Call>> {
    let pool = DescriptorPool::decode(patchbay_proto::DESCRIPTOR_SET)?;
    let mut calls: Vec<Call> = Vec::new();
    for name in SERVICES {
        let name = format!("patchbay.crypto.v1.{name}");
        let service = pool.get_service_by_name(&name).with_context(|| format!("there is no {name}"))?;
        for method in service.methods() {
            let mut call = call(&service, &method)?;
            // The comment of a batch says nothing that is not said of the single call.
            if let Some(single) = method.name().strip_suffix("Batch") {
                let single = calls.iter().find(|call| call.name == single).context("a batch of nothing")?;
                call.who = single.who.clone();
            }
            calls.push(call);
        }
    }
    Ok(calls)
}

fn call(service: &ServiceDescriptor, method: &MethodDescriptor) -> Result<Call> {
    let comment = comment(method)?;
    let (text, reasons) = comment.split_once("Reasons:").unwrap_or((&comment, ""));
    let service_comment = service_comment(service)?;
    let (what, who) = match text.split_once("Scope:") {
        Some((what, scope)) => (what, Who::Scope(scope.trim().trim_end_matches('.').to_owned())),
        None if text.contains(" Open.") => (text.trim_end().trim_end_matches("Open."), Who::Anybody),
        None if text.contains("Any token") || service_comment.contains("Any token.") => {
            (text.split(" Any token").next().unwrap_or(text), Who::AnyToken)
        }
        None if text.contains("It needs any token") => {
            (text.split(" It needs").next().unwrap_or(text), Who::AnyToken)
        }
        // A batch, whose single call says it.
        None => (text, Who::Anybody),
    };
    let what = what.trim().strip_prefix(method.name()).unwrap_or(what).trim().trim_end_matches('.');
    Ok(Call {
        name: method.name().to_owned(),
        path: format!("/{}/{}", service.full_name(), method.name()),
        what: what.to_owned(),
        who,
        reasons: reasons.trim().trim_end_matches('.').to_owned(),
    })
}

fn comment(method: &MethodDescriptor) -> Result<String> {
    at_path(&method.parent_service().parent_file(), method.path())
}

fn service_comment(service: &ServiceDescriptor) -> Result<String> {
    at_path(&service.parent_file(), service.path())
}

fn at_path(file: &prost_reflect::FileDescriptor, path: &[i32]) -> Result<String> {
    let source = file.file_descriptor_proto().source_code_info.as_ref().context("no comments were kept")?;
    let location = source.location.iter().find(|location| location.path == path).context("no comment")?;
    let lines = location.leading_comments().lines().map(str::trim);
    Ok(lines.collect::<Vec<_>>().join(" ").trim().to_owned())
}
