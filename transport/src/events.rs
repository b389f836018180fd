//! Queue: what the event loop has to be told, in order, with a socket that is readable once there is
//! something.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::call::Shared;

/// Kinds of events, as Python sees them.
pub const CALL: u8 = 0;
pub const REQUEST: u8 = 1;
pub const REQUESTS_ENDED: u8 = 2;
pub const FLUSHED: u8 = 3;
pub const CANCELLED: u8 = 4;
pub const DRAINED: u8 = 5;
pub const REFUSED: u8 = 6;

pub enum Event {
    /// A client has made a call.
    Call(Arc<Shared>),
    /// A request of the call has come, whole.
    Request(u64, Bytes),
    /// The client says nothing more.
    RequestsEnded(u64),
    /// What was waited for is written.
    Flushed(u64),
    /// The call is over, whatever Python still says.
    Cancelled(u64),
    /// A handshake has failed: with whom, and why; and how many others since the last of these.
    Refused(String, u64),
    /// After `drain`, no connection is left.
    Drained,
}

pub struct Queue {
    state: Mutex<State>,
    bell: UnixStream,
    listener: UnixStream,
    begun: Notify,
}

struct State {
    events: VecDeque<Event>,
    rung: bool,
}

impl Queue {
    pub fn new() -> std::io::Result<Self> {
        let (bell, listener) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        listener.set_nonblocking(true)?;
        let state = State { events: VecDeque::new(), rung: false };
        Ok(Self { state: Mutex::new(state), bell, listener, begun: Notify::new() })
    }

    /// The socket to wait on.
    pub fn listener(&self) -> &UnixStream {
        &self.listener
    }

    pub fn push(&self, event: Event) {
        let mut state = self.state();
        state.events.push_back(event);
        if state.events.len() == 1 {
            self.begun.notify_one();
        }
    }

    /// In the thread, for as long as it runs: have the event loop look, when what was about to run
    /// beside the first event has run. It takes all that these have brought at once.
    pub async fn ring(&self) {
        loop {
            self.begun.notified().await;
            let mut state = self.state();
            if !state.events.is_empty() && !state.rung {
                state.rung = true;
                // One byte is in the socket at most, so there is room for it.
                let _ = (&self.bell).write(&[0]);
            }
        }
    }

    /// At most `most` events, the oldest first; the socket stays readable if there are more.
    pub fn take(&self, most: usize) -> Vec<Event> {
        let mut state = self.state();
        let count = state.events.len().min(most);
        let taken = state.events.drain(..count).collect();
        if state.events.is_empty() && state.rung {
            state.rung = false;
            let _ = (&self.listener).read(&mut [0]);
            state.events.shrink_to(4096);
        }
        taken
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
