//! `patchbay.crypto.v1.Passwords`: the passwords of other applications.

use crate::{
    caller::Caller,
    core::Core,
    error::Error,
    passwords::{self, Pepper},
};
use patchbay_crypto::password::Algorithm;
use patchbay_proto::crypto::v1::{self as pb, passwords_server::PasswordsServer};
use std::sync::Arc;
use tonic::{Request, Response, Status};
use zeroize::Zeroizing;

/// The one resource: a scope is `passwords:hash:*`.
const ANY: &str = "*";

/// Makes the server.
pub(super) fn server(core: &Arc<Core>) -> PasswordsServer<Passwords> {
    let passwords =
        passwords::Passwords::new(&core.config.passwords, &core.config.pool, &core.root, &core.pool);
    PasswordsServer::new(Passwords { passwords })
}

/// The service.
pub(super) struct Passwords {
    passwords: passwords::Passwords,
}

#[tonic::async_trait]
impl pb::passwords_server::Passwords for Passwords {
    async fn hash_password(
        &self,
        request: Request<pb::HashPasswordRequest>,
    ) -> Result<Response<pb::HashPasswordResponse>, Status> {
        Caller::of(&request)?.require("passwords", "hash", ANY)?;
        let pb::HashPasswordRequest { password, algorithm, pepper } = request.into_inner();
        let password = Zeroizing::new(password);
        let pepper = if pepper { Pepper::With } else { Pepper::Without };
        let hash = self.passwords.hash(algorithm_of(algorithm)?, &password, pepper).await?;
        Ok(Response::new(pb::HashPasswordResponse { hash }))
    }

    async fn verify_password(
        &self,
        request: Request<pb::VerifyPasswordRequest>,
    ) -> Result<Response<pb::VerifyPasswordResponse>, Status> {
        Caller::of(&request)?.require("passwords", "verify", ANY)?;
        let pb::VerifyPasswordRequest { password, hash } = request.into_inner();
        let password = Zeroizing::new(password);
        let verdict = self.passwords.verify(&password, &hash).await?;
        Ok(Response::new(pb::VerifyPasswordResponse {
            is_valid: verdict.is_valid,
            needs_rehash: verdict.needs_rehash,
        }))
    }
}

fn algorithm_of(value: i32) -> Result<Algorithm, Error> {
    match pb::PasswordAlgorithm::try_from(value) {
        Ok(pb::PasswordAlgorithm::Unspecified) => Ok(Algorithm::default()),
        Ok(pb::PasswordAlgorithm::Argon2id) => Ok(Algorithm::Argon2id),
        Ok(pb::PasswordAlgorithm::Bcrypt) => Ok(Algorithm::Bcrypt),
        Ok(pb::PasswordAlgorithm::Scrypt) => Ok(Algorithm::Scrypt),
        Ok(pb::PasswordAlgorithm::Pbkdf2Sha256) => Ok(Algorithm::Pbkdf2Sha256),
        Err(_) => Err(Error::bad("algorithm", "is none that is known; see PasswordAlgorithm")),
    }
}
