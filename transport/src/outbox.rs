//! Outbox: what Python says to all calls, in order, until the thread is woken for it: once for many,
//! as to wake it costs more than most of what is said.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::call::{Command, Shared};

/// So many are handed over without being asked to: the first ones need not wait for the last.
const MOST: usize = 64;

#[derive(Default)]
pub struct Outbox {
    words: Mutex<Vec<(Arc<Shared>, Command)>>,
    due: Notify,
}

impl Outbox {
    pub fn push(&self, call: &Arc<Shared>, command: Command) {
        let mut words = self.words();
        words.push((call.clone(), command));
        if words.len() == MOST {
            self.due.notify_one();
        }
    }

    pub fn hand_over(&self) {
        self.due.notify_one();
    }

    /// The body of the latest response, if it is these very bytes: then they need not be owned twice.
    pub fn shared(&self, bytes: &[u8]) -> Option<Bytes> {
        match self.words().last() {
            Some((_, Command::Send(message))) if std::ptr::eq(&message.body()[..], bytes) => {
                Some(message.body().clone())
            }
            _ => None,
        }
    }

    /// In the thread, for as long as it runs: give each call what it was told.
    pub async fn deliver(self: Arc<Self>) {
        loop {
            self.due.notified().await;
            let words = std::mem::take(&mut *self.words());
            for (call, command) in words {
                // Nobody takes it once the call is over, which Python is told as an event.
                let _ = call.commands.send(command);
            }
        }
    }

    fn words(&self) -> MutexGuard<'_, Vec<(Arc<Shared>, Command)>> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
