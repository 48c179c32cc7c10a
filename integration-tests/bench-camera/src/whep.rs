//! A client of WHEP: an offer goes, an answer comes.

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Request, StatusCode, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// An offer that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) answer: String,
    /// Path on the same server.
    location: String,
}

/// Posts to one server.
#[derive(Clone)]
pub(crate) struct Whep {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
}

impl Whep {
    pub(crate) fn new(base: &str) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), base: base.to_owned() }
    }

    /// Offers to watch a camera.
    pub(crate) async fn offer(&self, camera: &str, offer: String) -> Result<Session> {
        let request = Request::post(format!("{}/whep/{camera}", self.base))
            .header(header::CONTENT_TYPE, "application/sdp")
            .body(Full::from(offer))?;
        let (status, headers, answer) = self.call(request).await?;
        if status != StatusCode::CREATED {
            bail!("WHEP answered {status}: {answer}");
        }
        let location = headers.get(header::LOCATION).context("WHEP named no session")?.to_str()?.to_owned();
        Ok(Session { answer, location })
    }

    /// Ends a session, so that the server need not find out that its viewer has gone.
    pub(crate) async fn end(&self, session: &Session) -> Result<()> {
        let request = Request::delete(format!("{}{}", self.base, session.location)).body(Full::default())?;
        let (status, _, body) = self.call(request).await?;
        if !status.is_success() {
            bail!("the end of {} was answered {status}: {body}", session.location);
        }
        Ok(())
    }

    pub(crate) async fn get(&self, path: &str) -> Result<serde_json::Value> {
        let request = Request::get(format!("{}{path}", self.base)).body(Full::default())?;
        let (status, _, body) = self.call(request).await?;
        if !status.is_success() {
            bail!("{path} answered {status}: {body}");
        }
        serde_json::from_str(&body).context("the answer is not JSON")
    }

    async fn call(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, HeaderMap, String)> {
        let (parts, body) = self.client.request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok((parts.status, parts.headers, String::from_utf8_lossy(&body).into_owned()))
    }
}
