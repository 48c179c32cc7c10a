//! A client of WHEP: an offer goes, an answer comes.

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, StatusCode, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

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

    /// The answer to an offer to watch a camera.
    pub(crate) async fn offer(&self, camera: &str, offer: String) -> Result<String> {
        let request = Request::post(format!("{}/whep/{camera}", self.base))
            .header(header::CONTENT_TYPE, "application/sdp")
            .body(Full::from(offer))?;
        let (status, body) = self.call(request).await?;
        if status != StatusCode::CREATED {
            bail!("WHEP answered {status}: {body}");
        }
        Ok(body)
    }

    pub(crate) async fn get(&self, path: &str) -> Result<serde_json::Value> {
        let request = Request::get(format!("{}{path}", self.base)).body(Full::default())?;
        let (status, body) = self.call(request).await?;
        if !status.is_success() {
            bail!("{path} answered {status}: {body}");
        }
        serde_json::from_str(&body).context("the answer is not JSON")
    }

    async fn call(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, String)> {
        let response = self.client.request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}
