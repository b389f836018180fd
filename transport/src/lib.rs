//! HTTP/2, TLS and gRPC's framing for an asyncio server: one thread of ours, no lock of Python's.
//!
//! The thread runs connections and streams. What happens there is queued as events, which the event
//! loop takes in one go when a socket becomes readable; what Python says is put into the outbox, which
//! the thread empties in one go, each word for the stream's own task. Begin with `core`, the door to
//! Python; then `connection` and `stream`.

#![forbid(unsafe_code)]

mod call;
mod connection;
mod core;
mod events;
mod framing;
mod limits;
mod listener;
mod outbox;
mod stream;
mod tls;

use pyo3::prelude::*;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<core::Core>()?;
    module.add_class::<call::Call>()?;
    module.add_class::<tls::Identity>()?;
    module.add("CALL", events::CALL)?;
    module.add("REQUEST", events::REQUEST)?;
    module.add("REQUESTS_ENDED", events::REQUESTS_ENDED)?;
    module.add("FLUSHED", events::FLUSHED)?;
    module.add("CANCELLED", events::CANCELLED)?;
    module.add("DRAINED", events::DRAINED)?;
    module.add("REFUSED", events::REFUSED)?;
    Ok(())
}
