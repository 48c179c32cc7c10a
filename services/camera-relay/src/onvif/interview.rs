//! The questions in their order, from the time of the device to its streams. It ends at the first refusal of the login, because devices lock out who tries on.

use super::{
    Description, Stream,
    address::{self, Note},
    clock::DeviceClock,
    error::OnvifError,
    media::{self, Profile, Version},
    security,
    service::Service,
    soap::{Operation, SoapError},
    tree::Element,
};
use patchbay_capture::HttpTarget;
use patchbay_chassis::Clock;
use std::net::IpAddr;
use url::Url;

pub(super) struct Interview<'a> {
    /// The device, and the login.
    target: HttpTarget,
    clock: &'a Clock,
    device_clock: DeviceClock,
}

impl<'a> Interview<'a> {
    pub(super) fn new(target: HttpTarget, clock: &'a Clock) -> Self {
        Self { target, clock, device_clock: DeviceClock::default() }
    }

    /// Asks everything, and adds to the description what is told, so that what was told before a failure is in it.
    pub(super) async fn run(mut self, description: &mut Description) -> Result<(), OnvifError> {
        let device = Service::new(self.target.clone())?;
        self.device_clock = self.time_of(&device).await?;
        let (version, url) = self.media_of(&device).await?;
        (description.maker, description.model) = self.maker_and_model(&device).await?;
        let media = Service::new(HttpTarget { url, ..self.target.clone() })?;
        let told = self.ask(&media, &version.get_profiles()).await?;
        let addresses = self.addresses().await?;
        for profile in version.profiles(&told) {
            let stream = self.stream(&media, version, profile, &addresses).await?;
            description.streams.push(stream);
        }
        let is_any = description.streams.iter().any(|stream| !stream.url.is_empty());
        if is_any { Ok(()) } else { Err(OnvifError::NoStreams(self.host().to_owned())) }
    }

    /// The time, without a login since that needs it. A device that wants one all the same is believed to have our time.
    async fn time_of(&self, device: &Service) -> Result<DeviceClock, OnvifError> {
        match device.ask(&media::get_time(), "").await {
            Ok(told) => Ok(DeviceClock::read(&told, self.now()).unwrap_or_default()),
            Err(
                OnvifError::LoginNeeded(_)
                | OnvifError::LoginRefused(_)
                | OnvifError::Soap { source: SoapError::Fault(_), .. },
            ) => Ok(DeviceClock::default()),
            Err(other) => Err(other),
        }
    }

    /// The media service: among all services, or where old devices tell it.
    async fn media_of(&self, device: &Service) -> Result<(Version, Url), OnvifError> {
        let all = unless_fault(self.ask(device, &media::get_services()).await)?;
        if let Some(found) = all.as_ref().and_then(media::media_of_services) {
            return self.placed(found);
        }
        let old = unless_fault(self.ask(device, &media::get_capabilities()).await)?;
        let found = old.as_ref().and_then(media::media_of_capabilities);
        self.placed(found.ok_or_else(|| OnvifError::NoMedia(self.host().to_owned()))?)
    }

    fn placed(&self, (version, named): (Version, &str)) -> Result<(Version, Url), OnvifError> {
        let url = address::service(&self.target.url, named);
        Ok((version, url.ok_or_else(|| OnvifError::NoMedia(self.host().to_owned()))?))
    }

    /// A device that does not tell them has none.
    async fn maker_and_model(&self, device: &Service) -> Result<(String, String), OnvifError> {
        let told = unless_fault(self.ask(device, &media::get_information()).await)?;
        Ok(told.as_ref().map(media::maker_and_model).unwrap_or_default())
    }

    async fn stream(
        &self,
        service: &Service,
        version: Version,
        profile: Profile,
        addresses: &[IpAddr],
    ) -> Result<Stream, OnvifError> {
        let told = match self.ask(service, &version.get_stream(&profile.token)).await {
            Err(OnvifError::Soap { source: SoapError::Fault(words), .. }) => {
                let note = Some(Note::Refused(words));
                return Ok(Stream { profile, url: String::new(), note });
            }
            other => other?,
        };
        let asked = address::Asked { host: self.host(), addresses, guard: &self.target.guard };
        let address::StreamAddress { url, note } = asked.stream(version.stream(&told));
        Ok(Stream { profile, url, note })
    }

    /// One question with the login. Each has a nonce of its own.
    async fn ask(&self, service: &Service, operation: &Operation) -> Result<Element, OnvifError> {
        let header = self.target.credentials.as_ref().map(|credentials| {
            let nonce: [u8; 16] = rand::random();
            security::header(credentials, &self.device_clock.shows(self.now()), &nonce)
        });
        service.ask(operation, &header.unwrap_or_default()).await
    }

    /// What the host is, to know it by its addresses in those of streams.
    async fn addresses(&self) -> Result<Vec<IpAddr>, OnvifError> {
        let HttpTarget { guard, limits, url, .. } = &self.target;
        let host = self.host().parse().map_err(patchbay_capture::HttpError::from)?;
        let port = url.port_or_known_default().unwrap_or(80);
        let found = guard.resolve(&host, port, limits.connect_timeout).await;
        let found = found.map_err(patchbay_capture::HttpError::from)?;
        Ok(found.iter().map(std::net::SocketAddr::ip).collect())
    }

    fn host(&self) -> &str {
        self.target.url.host_str().unwrap_or_default()
    }

    fn now(&self) -> i64 {
        i64::try_from(self.clock.now_millis()).unwrap_or(i64::MAX)
    }
}

/// Nothing where the device refuses the question itself, as old ones do with those that they do not know.
fn unless_fault(answer: Result<Element, OnvifError>) -> Result<Option<Element>, OnvifError> {
    match answer {
        Ok(told) => Ok(Some(told)),
        Err(OnvifError::Soap { source: SoapError::Fault(_), .. }) => Ok(None),
        Err(other) => Err(other),
    }
}
