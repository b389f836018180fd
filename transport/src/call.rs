//! Call: one gRPC call, as Python has it; its words go to the stream's task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;
use tokio::sync::{Notify, mpsc};

use crate::framing::Message;
use crate::limits::{AHEAD, SMALL};
use crate::outbox::Outbox;

/// How its other end is connected.
pub struct Connected {
    pub peer: String,
    /// As gRPC calls it: `ssl`, `local` or `insecure`.
    pub security: &'static str,
    /// The client's own certificate (DER).
    pub certificate: Option<Vec<u8>>,
    /// Calls that Python has not finished, those included that are over for the client.
    pub calls: AtomicUsize,
}

impl Connected {
    pub fn new(peer: String, security: &'static str, certificate: Option<Vec<u8>>) -> Self {
        Self { peer, security, certificate, calls: AtomicUsize::new(0) }
    }
}

/// What Python has a call's task do.
pub enum Command {
    Send(Message),
    Finish { code: i32, details: String, trailers: Vec<(String, Vec<u8>)> },
}

/// What the task and Python have in common.
pub struct Shared {
    pub id: u64,
    pub method: String,
    pub metadata: Vec<(String, Vec<u8>)>,
    pub connected: Arc<Connected>,
    pub commands: mpsc::UnboundedSender<Command>,
    /// By which Python's words come to `commands`.
    pub outbox: Arc<Outbox>,
    /// Responses that are not handed to HTTP/2 yet, and whether Python waits for that.
    pub pending: AtomicUsize,
    pub awaited: AtomicBool,
    /// Requests that Python has not taken yet, and whether it waits for one.
    pub untaken: AtomicUsize,
    pub wanted: AtomicBool,
    /// True while a request waits for Python's word, which is then to be told to `credit`.
    pub stalled: AtomicBool,
    pub credit: Notify,
    /// True until Python has finished it: see `Connected.calls`.
    pub counted: AtomicBool,
    /// Woken once a status was said: what was not read by then is not waited for.
    pub finished: Notify,
}

impl Shared {
    /// True if a request of so many bytes may be read.
    pub fn may_read(&self, length: usize) -> bool {
        self.wanted.load(Ordering::SeqCst)
            || (length <= SMALL && self.untaken.load(Ordering::SeqCst) < AHEAD)
    }

    /// Python has room for a request, perhaps. To wake the reader costs far more than to look.
    fn invite(&self) {
        if self.stalled.swap(false, Ordering::SeqCst) {
            self.credit.notify_one();
        }
    }
}

#[pyclass(frozen, module = "towpath_transport")]
pub struct Call(pub Arc<Shared>);

#[pymethods]
impl Call {
    #[getter]
    fn id(&self) -> u64 {
        self.0.id
    }

    #[getter]
    fn method(&self) -> &str {
        &self.0.method
    }

    /// Pairs of name and value, in the order in which they came.
    #[getter]
    fn metadata<'py>(&self, py: Python<'py>) -> Vec<(String, Bound<'py, PyBytes>)> {
        let pairs = self.0.metadata.iter();
        pairs.map(|(name, value)| (name.clone(), PyBytes::new(py, value))).collect()
    }

    #[getter]
    fn peer(&self) -> &str {
        &self.0.connected.peer
    }

    #[getter]
    fn security(&self) -> &str {
        self.0.connected.security
    }

    /// The client's certificate (DER); None if it has shown none.
    #[getter]
    fn certificate<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.0.connected.certificate.as_ref().map(|der| PyBytes::new(py, der))
    }

    /// Send a response, *body* and behind it *tail*, once `Core.hand_over` is called; gives how many
    /// were before it that are not on their way yet. A body that the response before it had too is
    /// handed over once.
    fn send(&self, body: PyBackedBytes, tail: &[u8]) -> PyResult<usize> {
        let body = self.0.outbox.shared(&body).unwrap_or_else(|| Bytes::from_owner(body));
        let message = Message::new(body, Bytes::copy_from_slice(tail))
            .ok_or_else(|| PyValueError::new_err("a message has at most 4 GiB"))?;
        let before = self.0.pending.fetch_add(1, Ordering::SeqCst);
        self.0.outbox.push(&self.0, Command::Send(message));
        Ok(before)
    }

    /// True if all responses are on their way; else FLUSHED will say so.
    fn flushed(&self) -> bool {
        self.0.awaited.store(true, Ordering::SeqCst);
        self.0.pending.load(Ordering::SeqCst) == 0
    }

    /// A request has been taken from those that came as events.
    fn taken(&self) {
        self.0.untaken.fetch_sub(1, Ordering::SeqCst);
        self.0.invite();
    }

    /// One is waited for, of any size that is allowed.
    fn want(&self) {
        self.0.wanted.store(true, Ordering::SeqCst);
        self.0.invite();
    }

    /// End the call with this status, once `Core.hand_over` is called.
    #[pyo3(signature = (code, details, trailers=Vec::new()))]
    fn finish(&self, code: i32, details: String, trailers: Vec<(String, Vec<u8>)>) {
        self.0.outbox.push(&self.0, Command::Finish { code, details, trailers });
        if self.0.counted.swap(false, Ordering::SeqCst) {
            self.0.connected.calls.fetch_sub(1, Ordering::SeqCst);
        }
        self.0.finished.notify_one();
    }
}
