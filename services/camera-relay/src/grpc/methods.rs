//! The table of all methods: what each asks of its caller before it looks at the resource, and where it stands in REST.

use patchbay_auth::Requirement;

/// One method and its door.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// `/<package>.<Service>/<Method>`.
    pub path: &'static str,
    /// What it asks of its caller.
    pub requirement: Requirement,
    /// Whether somebody without a token may call it as a guest, where the guest policy has what it asks.
    pub guests: Guests,
    /// Where it stands in REST; streams do not.
    pub door: Option<Door>,
}

/// See [`Method::guests`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guests {
    /// They may.
    Welcome,
    /// A token is needed.
    Refused,
}

/// Where a method stands in REST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    /// HTTP method.
    pub verb: &'static str,
    /// Path; `{field}` is a field of the request.
    pub path: &'static str,
}

const fn method(
    path: &'static str,
    action: &'static str,
    guests: Guests,
    door: Option<(&'static str, &'static str)>,
) -> Method {
    let door = match door {
        Some((verb, path)) => Some(Door { verb, path }),
        None => None,
    };
    Method { path, requirement: Requirement::Scope { service: "media", action }, guests, door }
}

use Guests::{Refused, Welcome};

/// Every method. A method that is not here is refused. The camera is checked in the method.
#[rustfmt::skip]
pub const METHODS: &[Method] = &[
    method("/patchbay.camera.v1.Cameras/ListCameras", "read", Welcome, Some(("GET", "/v1/cameras"))),
    method("/patchbay.camera.v1.Cameras/GetCamera", "read", Welcome, Some(("GET", "/v1/cameras/{name}"))),
    method("/patchbay.camera.v1.Cameras/AddCamera", "write", Refused, Some(("POST", "/v1/cameras"))),
    method("/patchbay.camera.v1.Cameras/UpdateCamera", "write", Refused, Some(("PUT", "/v1/cameras/{name}"))),
    method("/patchbay.camera.v1.Cameras/RemoveCamera", "write", Refused, Some(("DELETE", "/v1/cameras/{name}"))),
    method("/patchbay.camera.v1.Cameras/GetSnapshot", "view", Welcome, Some(("GET", "/v1/cameras/{name}/snapshot"))),
    method("/patchbay.camera.v1.Cameras/GetStatistics", "read", Welcome, Some(("GET", "/v1/cameras/{name}/statistics"))),
    method("/patchbay.camera.v1.Cameras/WatchCameras", "read", Welcome, None),
    method("/patchbay.camera.v1.Cameras/ProbeSource", "write", Refused, Some(("POST", "/v1/sources/probe"))),
    method("/patchbay.camera.v1.Cameras/DiscoverSources", "write", Refused, Some(("POST", "/v1/sources/discover"))),
    method("/patchbay.camera.v1.Cameras/DescribeDevice", "write", Refused, Some(("POST", "/v1/sources/describe"))),
    method("/patchbay.camera.v1.Cameras/ListMotion", "read", Welcome, Some(("GET", "/v1/cameras/{name}/motion"))),
    method("/patchbay.camera.v1.Cameras/GetMotionPicture", "view", Welcome, Some(("GET", "/v1/cameras/{name}/motion/{id}/picture"))),
    method("/patchbay.camera.v1.Cameras/ListViewers", "read", Refused, Some(("GET", "/v1/viewers"))),
    method("/patchbay.camera.v1.Cameras/KickViewer", "write", Refused, Some(("DELETE", "/v1/viewers/{id}"))),
];
