//! One service of a device: asks it, and judges what comes.

use super::{
    error::OnvifError,
    soap::{self, Operation, SoapError},
    tree::Element,
};
use bytes::Bytes;
use patchbay_capture::{HttpClient, HttpTarget};

/// Bytes of an answer at most.
const ANSWER: usize = 2 * 1024 * 1024;

pub(super) struct Service {
    http: HttpClient,
}

impl Service {
    pub(super) fn new(target: HttpTarget) -> Result<Self, OnvifError> {
        Ok(Self { http: HttpClient::new(target)? })
    }

    /// What it answers; `header` is the login.
    pub(super) async fn ask(&self, operation: &Operation, header: &str) -> Result<Element, OnvifError> {
        let content = Bytes::from(operation.envelope(header));
        let reply = self.http.post(&operation.content_type(), content).await?;
        let status = reply.status.as_u16();
        let body = reply.body.whole(ANSWER).await?;
        let body = body.ok_or_else(|| OnvifError::TooLarge {
            host: self.host(),
            operation: operation.name,
            most: ANSWER,
        })?;
        // Faults have other statuses, and some devices say 200 with them: what it says counts.
        let answer = soap::answer(&String::from_utf8_lossy(&body), operation.name);
        answer.map_err(|error| self.failure(operation, status, error))
    }

    fn failure(&self, operation: &Operation, status: u16, error: SoapError) -> OnvifError {
        let host = self.host();
        match error {
            _ if status == 401 => self.refused(),
            SoapError::NotAuthorized(_) => self.refused(),
            SoapError::NoEnvelope => OnvifError::NotOnvif { host, status },
            SoapError::Xml(_) | SoapError::Other if status != 200 => OnvifError::NotOnvif { host, status },
            source => OnvifError::Soap { host, operation: operation.name, source },
        }
    }

    fn refused(&self) -> OnvifError {
        match self.http.target().credentials {
            Some(_) => OnvifError::LoginRefused(self.host()),
            None => OnvifError::LoginNeeded(self.host()),
        }
    }

    fn host(&self) -> String {
        self.http.target().url.host_str().unwrap_or_default().to_owned()
    }
}
