//! Who passes the layer, and how those who do not are told.

use super::{GrpcAuthLayer, MethodScopes, Requirement};
use crate::{AuthConfig, Authenticator, Claims, Identity, KeyOwner, Signer, authenticator::system_seconds};
use http::{Request, Response};
use std::{convert::Infallible, sync::Arc};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tower::{Layer, ServiceExt, service_fn};

const PUBLISH: &str = "/patchbay.chat.v1.ChatAdmin/Publish";
const EITHER: &str = "/patchbay.chat.v1.ChatAdmin/Either";
const HEALTH: &str = "/grpc.health.v1.Health/Check";

fn methods() -> MethodScopes {
    let scope = Requirement::Scope { service: "chat", action: "admin" };
    let either = Requirement::AnyScope(&[("keys", "use"), ("keys", "encrypt")]);
    MethodScopes::new("chat-gateway.patchbay").method(PUBLISH, scope).method(EITHER, either)
}

/// Calls through the layer; `Ok` is the subject that the method saw.
async fn call(path: &str, authorization: Option<&str>, signer: &Signer) -> Result<Option<String>, Status> {
    let authenticator =
        Authenticator::with_keys(&AuthConfig::default(), signer.jwks(), Arc::new(system_seconds)).unwrap();
    let layer = GrpcAuthLayer::new(Arc::new(authenticator), methods());
    let method = layer.layer(service_fn(async |request: Request<()>| {
        let subject = request.extensions().get::<Arc<Identity>>().map(|i| i.subject.to_string());
        let mut response = Response::new(());
        response.extensions_mut().insert(subject);
        Ok::<_, Infallible>(response)
    }));
    let mut request = Request::builder().uri(path);
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    let response = method.oneshot(request.body(()).unwrap()).await.unwrap();
    match response.extensions().get::<Status>() {
        Some(status) => Err(status.clone()),
        None => Ok(response.extensions().get::<Option<String>>().cloned().flatten()),
    }
}

fn bearer(signer: &Signer, scope: &str) -> String {
    format!("Bearer {}", signer.mint(Claims::new("ada", vec![scope.parse().unwrap()])).unwrap())
}

fn assert_refused(result: Result<Option<String>, Status>, code: Code, reason: &str) {
    let status = result.unwrap_err();
    assert_eq!(status.code(), code);
    let info = status.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "chat-gateway.patchbay"));
}

#[tokio::test]
async fn a_caller_with_the_scope_passes() {
    let signer = Signer::generate(KeyOwner::Issuer).unwrap();
    for scope in ["chat:admin:room/x", "admin"] {
        let seen = call(PUBLISH, Some(&bearer(&signer, scope)), &signer).await.unwrap();
        assert_eq!(seen.as_deref(), Some("ada"));
    }
}

#[tokio::test]
async fn one_of_several_scopes_is_enough() {
    let signer = Signer::generate(KeyOwner::Issuer).unwrap();
    for scope in ["keys:use:app-1", "keys:encrypt:*", "admin"] {
        assert!(call(EITHER, Some(&bearer(&signer, scope)), &signer).await.is_ok(), "{scope}");
    }
    for scope in ["keys:decrypt:*", "chat:use:*"] {
        let refused = call(EITHER, Some(&bearer(&signer, scope)), &signer).await;
        let message = refused.as_ref().unwrap_err().message().to_owned();
        assert!(message.contains("keys:use") && message.contains("keys:encrypt"), "{message}");
        assert_refused(refused, Code::PermissionDenied, "PERMISSION_DENIED");
    }
}

#[tokio::test]
async fn guests_call_what_is_open_to_them_and_what_their_policy_has() {
    let read = Requirement::Scope { service: "media", action: "read" };
    let methods = || {
        let methods = MethodScopes::new("test.patchbay").method("/Open", read).method("/Closed", read);
        methods.method("/Other", Requirement::Scope { service: "media", action: "write" })
    };
    let call = async |guests: bool, path: &str, authorization: Option<&str>| {
        let scopes = vec!["media:read:test".parse().unwrap()];
        let guest = crate::GuestConfig { enabled: guests, scopes };
        let config = AuthConfig { guest, ..AuthConfig::default() };
        let authenticator = Arc::new(Authenticator::new(&config).unwrap());
        let layer = GrpcAuthLayer::new(authenticator, methods().guests("/Open").guests("/Other"));
        let method = layer.layer(service_fn(async |request: Request<()>| {
            let identity = request.extensions().get::<Arc<Identity>>();
            assert_eq!(identity.map(|identity| identity.kind), Some(crate::IdentityKind::Guest));
            Ok::<_, Infallible>(Response::new(()))
        }));
        let mut request = Request::builder().uri(path);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let response = method.oneshot(request.body(()).unwrap()).await.unwrap();
        response.extensions().get::<Status>().map(|status| status.get_details_error_info().unwrap().reason)
    };
    assert_eq!(call(true, "/Open", None).await, None);
    let missing = Some("TOKEN_MISSING".to_owned());
    for (guests, path) in [(false, "/Open"), (true, "/Closed"), (true, "/Other")] {
        assert_eq!(call(guests, path, None).await, missing, "{path}");
    }
    // A token that is bad makes nobody a guest.
    assert_eq!(call(true, "/Open", Some("Bearer x")).await.as_deref(), Some("TOKEN_MALFORMED"));
}

#[tokio::test]
async fn health_is_open_and_nothing_else() {
    let signer = Signer::generate(KeyOwner::Issuer).unwrap();
    assert_eq!(call(HEALTH, None, &signer).await.unwrap(), None);
    assert_refused(call(PUBLISH, None, &signer).await, Code::Unauthenticated, "TOKEN_MISSING");
    let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    assert_refused(call(reflection, None, &signer).await, Code::Unauthenticated, "TOKEN_MISSING");
}

#[tokio::test]
async fn others_are_told_why_not() {
    let signer = Signer::generate(KeyOwner::Issuer).unwrap();
    let other = bearer(&signer, "chat:publish:*");
    assert_refused(call(PUBLISH, Some(&other), &signer).await, Code::PermissionDenied, "PERMISSION_DENIED");
    assert_refused(call(PUBLISH, Some("Bearer x"), &signer).await, Code::Unauthenticated, "TOKEN_MALFORMED");
    assert_refused(call(PUBLISH, Some("Basic x"), &signer).await, Code::Unauthenticated, "TOKEN_MISSING");
    let stranger = bearer(&Signer::generate(KeyOwner::Issuer).unwrap(), "admin");
    assert_refused(call(PUBLISH, Some(&stranger), &signer).await, Code::Unauthenticated, "TOKEN_UNKNOWN_KEY");
}

#[tokio::test]
async fn a_method_that_is_not_listed_is_refused_even_to_admins() {
    let signer = Signer::generate(KeyOwner::Issuer).unwrap();
    let admin = bearer(&signer, "admin");
    for path in ["/patchbay.chat.v1.ChatAdmin/Other", "/grpc.health.v1.Health/Check/", "/"] {
        assert_refused(call(path, Some(&admin), &signer).await, Code::PermissionDenied, "PERMISSION_DENIED");
    }
}
