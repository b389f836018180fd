//! What connections and streams may cost; all come from Python, by name.

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Bytes of a stream's, and of a connection's, that may be under way to us without our word.
pub const STREAM_WINDOW: u32 = 64 << 10;
pub const CONNECTION_WINDOW: u32 = 256 << 10;

/// Requests that are read before somebody asks for them, and how large each may be.
pub const AHEAD: usize = 2;
pub const SMALL: usize = 16 << 10;

/// Calls of one connection that are over for its client, and of which Python does not know yet: who
/// has more of them opens and resets streams faster than anybody could serve them.
pub const FORSAKEN: usize = 100;

/// How long a status may take behind responses that the client does not read.
pub const LINGER: Duration = Duration::from_secs(5);

/// How long a client that has been told a status may take to end its side of the stream.
pub const GOODBYE: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub struct Limits {
    pub connections: usize,
    pub streams_per_connection: u32,
    pub header_list_bytes: u32,
    pub message_bytes: usize,
    pub handshake: Duration,
    pub keepalive: Option<(Duration, Duration)>,
    pub age: Option<(Duration, Duration)>,
    pub idle: Option<Duration>,
}

impl Limits {
    /// Seconds as numbers, of which 0 is never; ValueError names what is not there or not allowed.
    pub fn of(values: &Bound<'_, PyDict>) -> PyResult<Self> {
        let seconds = |name: &str| -> PyResult<Option<Duration>> {
            let value: f64 = get(values, name)?;
            if value == 0.0 {
                return Ok(None);
            }
            Duration::try_from_secs_f64(value).map(Some).map_err(|_| {
                PyValueError::new_err(format!("{name} is {value}: seconds are needed"))
            })
        };
        let never = Duration::from_secs(86_400 * 365);
        Ok(Self {
            connections: get(values, "connections")?,
            streams_per_connection: get(values, "streams_per_connection")?,
            header_list_bytes: get(values, "header_list_bytes")?,
            message_bytes: get(values, "message_bytes")?,
            handshake: seconds("handshake_s")?.unwrap_or(never),
            keepalive: seconds("keepalive_time_s")?.zip(seconds("keepalive_timeout_s")?),
            age: seconds("age_s")?.zip(Some(seconds("age_grace_s")?.unwrap_or_default())),
            idle: seconds("idle_s")?,
        })
    }
}

fn get<T>(values: &Bound<'_, PyDict>, name: &str) -> PyResult<T>
where
    T: for<'a, 'py> FromPyObject<'a, 'py, Error: Into<PyErr>>,
{
    let value = values
        .get_item(name)?
        .ok_or_else(|| PyValueError::new_err(format!("limits: {name} is not given")))?;
    value.extract::<T>().map_err(Into::into)
}
