//! `patchbay.crypto.v1.Keys`: who may do what with keys, and what of it is recorded. What is done stands in `keyring`.

mod convert;
mod import;

#[cfg(test)]
mod tests;

use crate::{
    audit::Entry,
    caller::Caller,
    core::Core,
    error::Error,
    keyring::{
        Configuration, Creating, Creation, Existing, Format, Header, Import, KeyName, Keyring, Restore,
    },
    store::Store,
    x509::{Chain, Wish},
};
use convert::{exported, format, key, key_type, period};
use import::Brought;
use patchbay_crypto::Secret;
use patchbay_proto::crypto::v1::{
    BackupKeyRequest, BackupKeyResponse, CreateCertificateRequestRequest, CreateCertificateRequestResponse,
    CreateKeyRequest, CreateKeyResponse, DeleteKeyRequest, DeleteKeyResponse, ExportKeyRequest,
    ExportKeyResponse, GetKeyRequest, GetKeyResponse, GetWrappingKeyRequest, GetWrappingKeyResponse,
    ImportKeyRequest, ImportKeyResponse, Key, ListKeysRequest, ListKeysResponse, RestoreKeyRequest,
    RestoreKeyResponse, RotateKeyRequest, RotateKeyResponse, SetCertificateRequest, SetCertificateResponse,
    SoftDeleteKeyRequest, SoftDeleteKeyResponse, TrimKeyRequest, TrimKeyResponse, UndeleteKeyRequest,
    UndeleteKeyResponse, UpdateKeyConfigRequest, UpdateKeyConfigResponse, keys_server,
};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Keys of a page where the caller does not say how many, and at most.
const PAGE: usize = 100;
const MAX_PAGE: usize = 1000;

/// Characters of a refused name that are recorded.
const RECORDED_NAME: usize = 128;

/// Makes the server.
pub(super) fn server(core: &Arc<Core>) -> keys_server::KeysServer<Keys> {
    keys_server::KeysServer::new(Keys { keyring: core.keyring.clone(), store: Arc::clone(&core.store) })
}

/// The service.
pub(super) struct Keys {
    keyring: Keyring,
    store: Arc<Store>,
}

/// A call that manages a key: it is recorded, done or refused.
struct Call {
    caller: Caller,
    /// Word of the scope.
    operation: &'static str,
    /// Word of the record.
    recorded: &'static str,
    name: String,
}

impl Call {
    fn of<T>(
        request: &Request<T>,
        operation: &'static str,
        recorded: &'static str,
        name: impl Fn(&T) -> &String,
    ) -> Result<Self, Error> {
        let name = name(request.get_ref()).clone();
        Ok(Self { caller: Caller::of(request)?, operation, recorded, name })
    }

    /// The name, where the caller may do this with it.
    fn allowed(&self) -> Result<KeyName, Error> {
        let name = KeyName::parse("name", &self.name)?;
        self.caller.require_key(self.operation, name.as_str())?;
        Ok(name)
    }

    fn entry(&self) -> Entry {
        // A name that was refused may be anything.
        let name: String = self.name.chars().filter(|c| !c.is_control()).take(RECORDED_NAME).collect();
        Entry::of(&self.caller, self.recorded, &name)
    }
}

impl Keys {
    /// Records a refusal. That it could not be recorded does not hide it.
    async fn settle<T>(&self, call: &Call, outcome: Result<T, Error>) -> Result<T, Status> {
        let Err(error) = &outcome else { return Ok(outcome?) };
        // These refuse nobody: the call may be repeated as it is.
        if !matches!(error, Error::Unavailable | Error::Busy | Error::Internal(_))
            && let Err(unrecorded) = self.store.record(call.entry().refused(error)).await
        {
            tracing::warn!(operation = call.recorded, %unrecorded, "a refusal could not be recorded");
        }
        Ok(outcome?)
    }

    /// The key as it is now. The change was made: where its versions cannot be read, they are left out.
    async fn described(&self, name: &KeyName, header: &Header) -> Key {
        match self.keyring.describe(name).await {
            Ok((header, versions)) => key(name.as_str(), &header, versions),
            Err(error) => {
                tracing::debug!(%error, key = name.as_str(), "could not read the versions of a key that was changed");
                key(name.as_str(), header, Vec::new())
            }
        }
    }
}

#[tonic::async_trait]
impl keys_server::Keys for Keys {
    async fn create_key(
        &self,
        request: Request<CreateKeyRequest>,
    ) -> Result<Response<CreateKeyResponse>, Status> {
        let call = Call::of(&request, "create", "key.create", |request| &request.name)?;
        let request = request.into_inner();
        let done = async {
            let name = call.allowed()?;
            let creation = Creation {
                key_type: key_type(request.r#type)?,
                exportable: request.exportable,
                plaintext_backup_allowed: request.plaintext_backup_allowed,
                auto_rotate: period(request.auto_rotate_period)?.unwrap_or_default(),
                hmac_size: request.hmac_key_size,
            };
            let (header, creating) = self.keyring.create(&name, creation, call.entry()).await?;
            Ok((self.described(&name, &header).await, creating == Creating::New))
        };
        let (key, is_new) = self.settle(&call, done.await).await?;
        Ok(Response::new(CreateKeyResponse { key: Some(key), is_new }))
    }

    async fn import_key(
        &self,
        request: Request<ImportKeyRequest>,
    ) -> Result<Response<ImportKeyResponse>, Status> {
        let call = Call::of(&request, "import", "key.import", |request| &request.name)?;
        let request = request.into_inner();
        let ImportKeyRequest { r#type, exportable, .. } = request;
        let brought = Brought::of(request);
        let done = async {
            let name = call.allowed()?;
            let (material, password) = brought?.material(&self.keyring).await?;
            let import = Import { key_type: key_type(r#type)?, material, password, exportable };
            let header = self.keyring.import(&name, import, call.entry()).await?;
            Ok(self.described(&name, &header).await)
        };
        let key = self.settle(&call, done.await).await?;
        Ok(Response::new(ImportKeyResponse { key: Some(key) }))
    }

    async fn get_key(&self, request: Request<GetKeyRequest>) -> Result<Response<GetKeyResponse>, Status> {
        let caller = Caller::of(&request)?;
        let name = KeyName::parse("name", &request.get_ref().name)?;
        caller.require_key("read", name.as_str())?;
        let (header, versions) = self.keyring.describe(&name).await?;
        Ok(Response::new(GetKeyResponse { key: Some(key(name.as_str(), &header, versions)) }))
    }

    async fn list_keys(
        &self,
        request: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        let caller = Caller::of(&request)?;
        let ListKeysRequest { page_size, page_token, prefix } = request.into_inner();
        let size = match usize::try_from(page_size).unwrap_or(usize::MAX) {
            0 => PAGE,
            size if size <= MAX_PAGE => size,
            _ => return Err(Error::bad("page_size", format!("must be {MAX_PAGE} at most")).into()),
        };
        if !prefix.is_empty() {
            KeyName::parse("prefix", &prefix)?;
        }
        if !page_token.is_empty() {
            KeyName::parse("page_token", &page_token)?;
        }
        let mut after = Some(page_token).filter(|token| !token.is_empty());
        // One more than asked for tells whether another page follows.
        let mut keys = Vec::with_capacity(size.min(PAGE));
        loop {
            let page = self.keyring.list(&prefix, after.as_deref(), MAX_PAGE).await?;
            after = page.headers.last().map(|(name, _)| name.clone());
            let visible = page.headers.iter().filter(|(name, _)| caller.may("list", name));
            let missing = (size + 1).saturating_sub(keys.len());
            keys.extend(visible.take(missing).map(|(name, header)| key(name, header, Vec::new())));
            if keys.len() > size || !page.more {
                break;
            }
        }
        let is_last = keys.len() <= size;
        keys.truncate(size);
        let last = keys.last().filter(|_| !is_last);
        let next_page_token = last.map(|key| key.name.clone()).unwrap_or_default();
        Ok(Response::new(ListKeysResponse { keys, next_page_token }))
    }

    async fn rotate_key(
        &self,
        request: Request<RotateKeyRequest>,
    ) -> Result<Response<RotateKeyResponse>, Status> {
        let call = Call::of(&request, "rotate", "key.rotate", |request| &request.name)?;
        let done = async {
            let name = call.allowed()?;
            let header = self.keyring.rotate(&name, call.entry()).await?;
            Ok(self.described(&name, &header).await)
        };
        let key = self.settle(&call, done.await).await?;
        Ok(Response::new(RotateKeyResponse { key: Some(key) }))
    }

    async fn update_key_config(
        &self,
        request: Request<UpdateKeyConfigRequest>,
    ) -> Result<Response<UpdateKeyConfigResponse>, Status> {
        let call = Call::of(&request, "config", "key.config", |request| &request.name)?;
        let request = request.into_inner();
        let done = async {
            let name = call.allowed()?;
            let wanted = Configuration {
                min_decryption: request.min_decryption_version,
                min_encryption: request.min_encryption_version,
                deletion_allowed: request.deletion_allowed,
                exportable: request.exportable,
                plaintext_backup_allowed: request.plaintext_backup_allowed,
                auto_rotate: period(request.auto_rotate_period)?,
            };
            let header = self.keyring.configure(&name, wanted, call.entry()).await?;
            Ok(self.described(&name, &header).await)
        };
        let key = self.settle(&call, done.await).await?;
        Ok(Response::new(UpdateKeyConfigResponse { key: Some(key) }))
    }

    async fn delete_key(
        &self,
        request: Request<DeleteKeyRequest>,
    ) -> Result<Response<DeleteKeyResponse>, Status> {
        let call = Call::of(&request, "delete", "key.delete", |request| &request.name)?;
        let done = async { self.keyring.delete(&call.allowed()?, call.entry()).await };
        self.settle(&call, done.await).await?;
        Ok(Response::new(DeleteKeyResponse {}))
    }

    async fn soft_delete_key(
        &self,
        request: Request<SoftDeleteKeyRequest>,
    ) -> Result<Response<SoftDeleteKeyResponse>, Status> {
        let call = Call::of(&request, "delete", "key.soft_delete", |request| &request.name)?;
        let done = async { self.keyring.soft_delete(&call.allowed()?, call.entry()).await };
        self.settle(&call, done.await).await?;
        Ok(Response::new(SoftDeleteKeyResponse {}))
    }

    async fn undelete_key(
        &self,
        request: Request<UndeleteKeyRequest>,
    ) -> Result<Response<UndeleteKeyResponse>, Status> {
        let call = Call::of(&request, "delete", "key.undelete", |request| &request.name)?;
        let done = async { self.keyring.undelete(&call.allowed()?, call.entry()).await };
        self.settle(&call, done.await).await?;
        Ok(Response::new(UndeleteKeyResponse {}))
    }

    async fn trim_key(&self, request: Request<TrimKeyRequest>) -> Result<Response<TrimKeyResponse>, Status> {
        let call = Call::of(&request, "trim", "key.trim", |request| &request.name)?;
        let min_available = request.get_ref().min_available_version;
        let done = async {
            let name = call.allowed()?;
            let header = self.keyring.trim(&name, min_available, call.entry()).await?;
            Ok(self.described(&name, &header).await)
        };
        let key = self.settle(&call, done.await).await?;
        Ok(Response::new(TrimKeyResponse { key: Some(key) }))
    }

    async fn export_key(
        &self,
        request: Request<ExportKeyRequest>,
    ) -> Result<Response<ExportKeyResponse>, Status> {
        match format(request.get_ref().format)? {
            format if format.is_public() => self.export_public_half(&request, format).await,
            format => self.export_material(request, format).await,
        }
    }

    async fn backup_key(
        &self,
        request: Request<BackupKeyRequest>,
    ) -> Result<Response<BackupKeyResponse>, Status> {
        let call = Call::of(&request, "backup", "key.backup", |request| &request.name)?;
        let password = Secret::new(request.into_inner().password.into_bytes());
        let done = async { self.keyring.backup(&call.allowed()?, password, call.entry()).await };
        let backup = self.settle(&call, done.await).await?;
        Ok(Response::new(BackupKeyResponse { backup: backup.expose().to_vec().into() }))
    }

    async fn get_wrapping_key(
        &self,
        _: Request<GetWrappingKeyRequest>,
    ) -> Result<Response<GetWrappingKeyResponse>, Status> {
        let public_key_pem = self.keyring.wrapping_key().await?;
        Ok(Response::new(GetWrappingKeyResponse { public_key_pem }))
    }

    async fn create_certificate_request(
        &self,
        request: Request<CreateCertificateRequestRequest>,
    ) -> Result<Response<CreateCertificateRequestResponse>, Status> {
        let call = Call::of(&request, "csr", "key.csr", |request| &request.name)?;
        let CreateCertificateRequestRequest { version, subject, alternative_names, template, .. } =
            request.into_inner();
        let wish = Wish { subject, alternative_names, template };
        let done = async {
            let name = call.allowed()?;
            self.keyring.certificate_request(&name, version, wish, call.entry()).await
        };
        let (csr_pem, version) = self.settle(&call, done.await).await?;
        Ok(Response::new(CreateCertificateRequestResponse { csr_pem, version }))
    }

    async fn set_certificate(
        &self,
        request: Request<SetCertificateRequest>,
    ) -> Result<Response<SetCertificateResponse>, Status> {
        let call = Call::of(&request, "config", "key.certificate", |request| &request.name)?;
        let SetCertificateRequest { version, certificate_chain_pem, .. } = request.into_inner();
        let done = async {
            let name = call.allowed()?;
            let is_given = !certificate_chain_pem.trim().is_empty();
            let chain = is_given.then(|| Chain::parse(&certificate_chain_pem)).transpose()?;
            let header = self.keyring.set_certificate(&name, version, chain, call.entry()).await?;
            Ok(self.described(&name, &header).await)
        };
        let key = self.settle(&call, done.await).await?;
        Ok(Response::new(SetCertificateResponse { key: Some(key) }))
    }

    async fn restore_key(
        &self,
        request: Request<RestoreKeyRequest>,
    ) -> Result<Response<RestoreKeyResponse>, Status> {
        let call = Call::of(&request, "restore", "key.restore", |request| &request.name)?;
        let RestoreKeyRequest { backup, password, force, .. } = request.into_inner();
        let restore = Restore {
            backup: Secret::new(backup.into()),
            password: Secret::new(password.into_bytes()),
            existing: if force { Existing::Replace } else { Existing::Keep },
        };
        let done = async {
            let name = call.allowed()?;
            let header = self.keyring.restore(&name, restore, call.entry()).await?;
            Ok(self.described(&name, &header).await)
        };
        let key = self.settle(&call, done.await).await?;
        Ok(Response::new(RestoreKeyResponse { key: Some(key) }))
    }
}

impl Keys {
    /// Anybody who may read a key may have its public half; it is not recorded.
    async fn export_public_half(
        &self,
        request: &Request<ExportKeyRequest>,
        format: Format,
    ) -> Result<Response<ExportKeyResponse>, Status> {
        let caller = Caller::of(request)?;
        let request = request.get_ref();
        let name = KeyName::parse("name", &request.name)?;
        caller.require_key("read", name.as_str())?;
        if !request.password.is_empty() {
            return Err(Error::bad("password", "is only for PKCS#8").into());
        }
        Ok(Response::new(exported(self.keyring.export_public(&name, request.version, format).await?)))
    }

    async fn export_material(
        &self,
        request: Request<ExportKeyRequest>,
        format: Format,
    ) -> Result<Response<ExportKeyResponse>, Status> {
        let call = Call::of(&request, "export", "key.export", |request| &request.name)?;
        let ExportKeyRequest { version, password, .. } = request.into_inner();
        let password = Secret::new(password.into_bytes());
        let done = async {
            let name = call.allowed()?;
            self.keyring.export(&name, version, format, password, call.entry()).await
        };
        Ok(Response::new(exported(self.settle(&call, done.await).await?)))
    }
}
