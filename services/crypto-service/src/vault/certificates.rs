//! Certificate requests and chains.

use super::{
    Outcome,
    body::Fields,
    frame::{Answer, Refusal},
    key,
    session::Session,
};
use bytes::Bytes;
use patchbay_proto::crypto::v1::{CreateCertificateRequestRequest, SetCertificateRequest};
use serde_json::json;

/// Signs a request like the one that is given.
pub(super) async fn request(session: &Session, name: &str, body: &Fields) -> Outcome {
    let template = body.text("csr")?.filter(|text| !text.is_empty());
    let template = template.ok_or_else(|| {
        Refusal::bad("missing csr: a request in PEM from which subject and extensions are taken; one for nobody is of no use")
    })?;
    let message = CreateCertificateRequestRequest {
        name: name.to_owned(),
        version: body.number("version")?.unwrap_or_default(),
        template: Bytes::from(template.to_owned()),
        ..Default::default()
    };
    let made = session.wait(session.keys().create_certificate_request(session.request(message))).await?;
    let kind = session.key_type("csr", name).await.map_err(|error| session.refuse(error))?;
    Ok(Answer::data(json!({ "name": name, "type": key::word(kind.into()), "csr": made.csr_pem })))
}

/// Puts a chain to a version.
pub(super) async fn set(session: &Session, name: &str, body: &Fields) -> Outcome {
    let chain = body.text("certificate_chain")?.filter(|text| !text.is_empty());
    let message = SetCertificateRequest {
        name: name.to_owned(),
        version: body.number("version")?.unwrap_or_default(),
        certificate_chain_pem: chain.ok_or_else(|| Refusal::bad("missing certificate_chain"))?.to_owned(),
    };
    session.wait(session.keys().set_certificate(session.request(message))).await?;
    Ok(Answer::empty())
}
