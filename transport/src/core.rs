//! Core: the server as Python has it, and its thread.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use tokio::net::TcpSocket;
use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;

use crate::call::Call;
use crate::connection::Server;
use crate::events::{self, Event};
use crate::limits::Limits;
use crate::listener::{self, Security};
use crate::tls::Identity;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;

#[pyclass(frozen, module = "towpath_transport")]
pub struct Core {
    server: Arc<Server>,
    handle: Handle,
    stop: Arc<Notify>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[pymethods]
impl Core {
    /// Start the thread. *limits* are those of `limits.rs`, by name; all are needed.
    #[new]
    fn new(limits: &Bound<'_, PyDict>) -> PyResult<Self> {
        let server = Arc::new(Server::new(Limits::of(limits)?)?);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (handle, stop) = (runtime.handle().clone(), Arc::new(Notify::new()));
        let until = stop.clone();
        let ringing = server.clone();
        runtime.spawn(async move { ringing.queue.ring().await });
        runtime.spawn(server.outbox.clone().deliver());
        let thread = std::thread::Builder::new()
            .name("towpath-transport".to_owned())
            .spawn(move || runtime.block_on(until.notified()))?;
        Ok(Self { server, handle, stop, thread: Mutex::new(Some(thread)) })
    }

    /// The descriptor that is readable while `take` gives something.
    fn fileno(&self) -> i32 {
        self.server.queue.listener().as_raw_fd()
    }

    /// At most *most* events, the oldest first: a call's number, the kind, and what comes with it
    /// (the Call, a request's bytes, or who was refused and how many were not told of).
    fn take<'py>(&self, py: Python<'py>, most: usize) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        self.server.queue.take(most).into_iter().map(|event| tuple(py, event)).collect()
    }

    /// Have the thread take what was said to calls since the last time.
    fn hand_over(&self) {
        self.server.outbox.hand_over();
    }

    /// Listen on an address (numbers, no name) by TCP; gives its port. *security* is `insecure`, `local`,
    /// or an Identity. OSError if that cannot be.
    fn listen(&self, host: &str, port: u16, security: &Bound<'_, PyAny>) -> PyResult<u16> {
        let security = match security.cast::<Identity>() {
            Ok(identity) => Security::Tls(identity.get().current()),
            Err(_) => match security.extract::<String>()?.as_str() {
                "insecure" => Security::Plaintext,
                "local" => Security::Local,
                other => return Err(PyValueError::new_err(format!("no such security: {other}"))),
            },
        };
        let ip = host.parse().map_err(|_| PyValueError::new_err(format!("no address: {host}")))?;
        let address = SocketAddr::new(ip, port);
        let _context = self.handle.enter();
        let socket = if ip.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let port = listener.local_addr()?.port();
        self.handle.spawn(listener::accept_tcp(self.server.clone(), listener, security));
        Ok(port)
    }

    /// Accept nothing more, and end each connection with its last call; DRAINED says that none is
    /// left.
    fn drain(&self) {
        self.server.drain();
    }

    /// End whatever there is, and the thread.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.stop.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        match thread {
            None => Ok(()),
            Some(thread) => py
                .detach(|| thread.join())
                .map_err(|_| PyRuntimeError::new_err("the transport's thread has failed")),
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

fn tuple(py: Python<'_>, event: Event) -> PyResult<Bound<'_, PyTuple>> {
    let none = py.None().into_bound(py);
    let (id, kind, value) = match event {
        Event::Call(call) => (call.id, events::CALL, Bound::new(py, Call(call))?.into_any()),
        Event::Request(id, data) => (id, events::REQUEST, PyBytes::new(py, &data).into_any()),
        Event::RequestsEnded(id) => (id, events::REQUESTS_ENDED, none),
        Event::Flushed(id) => (id, events::FLUSHED, none),
        Event::Cancelled(id) => (id, events::CANCELLED, none),
        Event::Refused(text, others) => {
            (0, events::REFUSED, (text, others).into_pyobject(py)?.into_any())
        }
        Event::Drained => (0, events::DRAINED, none),
    };
    (id, kind, value).into_pyobject(py)
}
