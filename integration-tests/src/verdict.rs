//! How a test fails.

use std::fmt;

/// What a test returns. `?` on an error panics where it stands, so that the processes that are still there know
/// that the test fails and print the ends of their logs.
pub type TestResult<T = ()> = Result<T, Failed>;

/// Never made: see [`TestResult`].
pub enum Failed {}

impl fmt::Debug for Failed {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failed {
    #[track_caller]
    fn from(error: E) -> Self {
        let error: anyhow::Error = error.into();
        let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
        panic!("{}", causes.join(": "));
    }
}
