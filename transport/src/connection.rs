//! One connection: HTTP/2 on whatever carries it, how long it lives, and how it is kept alive.

use std::future::{pending, poll_fn};
use std::hash::{BuildHasher, Hasher};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use h2::{Ping, PingPong, Reason};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::call::Connected;
use crate::events::{Event, Queue};
use crate::framing::Chunk;
use crate::limits::{CONNECTION_WINDOW, FORSAKEN, LINGER, Limits, STREAM_WINDOW};
use crate::outbox::Outbox;
use crate::stream;

const REFUSAL_EVERY: Duration = Duration::from_secs(1);

/// What all connections have in common.
pub struct Server {
    pub queue: Queue,
    pub outbox: Arc<Outbox>,
    pub limits: Limits,
    pub stage: watch::Sender<Stage>,
    open: AtomicUsize,
    calls: AtomicU64,
    refusals: Mutex<(Option<Instant>, u64)>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Stage {
    Serving,
    /// Nothing new is taken, and a connection ends with its last stream.
    Draining,
}

impl Server {
    pub fn new(limits: Limits) -> std::io::Result<Self> {
        Ok(Self {
            queue: Queue::new()?,
            outbox: Arc::default(),
            limits,
            stage: watch::Sender::new(Stage::Serving),
            open: AtomicUsize::new(0),
            calls: AtomicU64::new(0),
            refusals: Mutex::new((None, 0)),
        })
    }

    pub fn next_id(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }

    /// A handshake has failed. Of these one a second is told of, as anybody can cause them.
    pub fn refuse(&self, peer: &str, why: &str) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.0.is_some_and(|last| last.elapsed() < REFUSAL_EVERY) {
            refusals.1 += 1;
            return;
        }
        let others = std::mem::take(&mut refusals.1);
        refusals.0 = Some(Instant::now());
        self.queue.push(Event::Refused(format!("{peer}: {why}"), others));
    }

    /// One connection more, if there may be one.
    pub fn enter(self: &Arc<Self>) -> Option<Open> {
        if self.open.fetch_add(1, Ordering::SeqCst) >= self.limits.connections {
            self.open.fetch_sub(1, Ordering::SeqCst);
            return None;
        }
        Some(Open(self.clone()))
    }

    pub fn drain(&self) {
        self.stage.send_replace(Stage::Draining);
        if self.open.load(Ordering::SeqCst) == 0 {
            self.queue.push(Event::Drained);
        }
    }
}

/// Counts a connection for as long as it is there.
pub struct Open(Arc<Server>);

impl Drop for Open {
    fn drop(&mut self) {
        let last = self.0.open.fetch_sub(1, Ordering::SeqCst) == 1;
        if last && *self.0.stage.borrow() == Stage::Draining {
            self.0.queue.push(Event::Drained);
        }
    }
}

/// Serve a connection until it ends.
pub async fn serve<T>(server: Arc<Server>, io: T, connected: Connected)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let limits = &server.limits;
    let begun = Instant::now();
    let heard = Arc::new(AtomicU64::new(0));
    let io = Watched { io, begun, heard: heard.clone() };
    let handshake = h2::server::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(limits.streams_per_connection)
        .max_header_list_size(limits.header_list_bytes)
        .handshake::<_, Chunk>(io);
    let Ok(Ok(mut http)) = timeout(limits.handshake, handshake).await else { return };
    let Some(pings) = http.ping_pong() else { return };
    let mut keeper = Keeper::new(limits, begun, heard, pings);
    let connected = Arc::new(connected);
    let streams = Arc::new(()); // of which each open stream holds one
    let mut stage = server.stage.subscribe();
    if *stage.borrow_and_update() == Stage::Draining {
        http.graceful_shutdown();
    }
    loop {
        tokio::select! {
            accepted = http.accept() => {
                let Some(Ok((request, respond))) = accepted else { return };
                let open = Arc::strong_count(&streams) - 1;
                if connected.calls.load(Ordering::SeqCst) > open + FORSAKEN {
                    http.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                    let closed = poll_fn(|context| http.poll_closed(context));
                    let _ = timeout(LINGER, closed).await;
                    return;
                }
                let work = stream::serve(server.clone(), connected.clone(), request, respond);
                let counted = streams.clone();
                tokio::spawn(async move {
                    work.await;
                    drop(counted);
                });
            }
            Ok(()) = stage.changed() => http.graceful_shutdown(),
            step = keeper.next(&streams) => match step {
                Step::Leave => http.graceful_shutdown(),
                Step::Cut => return,
            },
        }
    }
}

enum Step {
    /// It is to end when its streams have ended.
    Leave,
    /// It ends at once.
    Cut,
}

/// Says when a connection has to end: by its age, its silence, or for want of use.
struct Keeper {
    begun: Instant,
    heard: Arc<AtomicU64>,
    pings: PingPong,
    keepalive: Option<(Duration, Duration)>,
    /// Until when the answer to a ping has to come.
    pinged: Option<Instant>,
    idle: Option<Duration>,
    unused_since: Option<Instant>,
    /// When it is too old, and how long its streams may take then.
    old: Option<(Instant, Duration)>,
    cut: Option<Instant>,
}

impl Keeper {
    fn new(limits: &Limits, begun: Instant, heard: Arc<AtomicU64>, pings: PingPong) -> Self {
        Self {
            begun,
            heard,
            pings,
            keepalive: limits.keepalive,
            pinged: None,
            idle: limits.idle,
            unused_since: None,
            old: limits.age.map(|(age, grace)| (begun + scattered(age), grace)),
            cut: None,
        }
    }

    /// The next step; to be asked again and again, as it may be dropped at any time. See `serve` for `streams`.
    async fn next(&mut self, streams: &Arc<()>) -> Step {
        loop {
            let now = Instant::now();
            if self.cut.is_some_and(|at| at <= now) {
                return Step::Cut;
            }
            if let Some((at, grace)) = self.old
                && at <= now
            {
                self.old = None;
                self.cut = Some(now + grace);
                return Step::Leave;
            }
            if self.look_at_use(Arc::strong_count(streams) > 1, now) {
                return Step::Leave;
            }
            match self.pinged {
                Some(until) if until <= now => return Step::Cut,
                Some(_) => {}
                None => {
                    if !self.ping(now) {
                        return Step::Cut;
                    }
                }
            }
            let wake = [
                self.cut,
                self.old.map(|(at, _)| at),
                self.pinged.or_else(|| self.ping_at()),
                self.idle.map(|idle| now + idle / 4),
            ];
            let wake = wake.into_iter().flatten().min();
            let pinged = self.pinged.is_some();
            let pong = async {
                match pinged {
                    true => poll_fn(|context| self.pings.poll_pong(context)).await.is_ok(),
                    false => pending().await,
                }
            };
            tokio::select! {
                answered = pong => {
                    if !answered {
                        return Step::Cut;
                    }
                    self.pinged = None;
                }
                () = until(wake) => {}
            }
        }
    }

    /// True if it has carried no stream for long enough.
    fn look_at_use(&mut self, used: bool, now: Instant) -> bool {
        let Some(idle) = self.idle else { return false };
        if used {
            self.unused_since = None;
            return false;
        }
        if now - *self.unused_since.get_or_insert(now) < idle {
            return false;
        }
        self.idle = None;
        self.cut = Some(now + LINGER);
        true
    }

    fn ping_at(&self) -> Option<Instant> {
        let (time, _) = self.keepalive?;
        Some(self.begun + Duration::from_millis(self.heard.load(Ordering::Relaxed)) + time)
    }

    /// Ping if it is time for it; false if that cannot be, as the connection is over.
    fn ping(&mut self, now: Instant) -> bool {
        let (Some((_, longest)), Some(at)) = (self.keepalive, self.ping_at()) else { return true };
        if at > now {
            return true;
        }
        self.pinged = Some(now + longest);
        self.pings.send_ping(Ping::opaque()).is_ok()
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

/// A tenth more or less, at random, so that not all clients come back at once.
fn scattered(age: Duration) -> Duration {
    let random = std::hash::RandomState::new().build_hasher().finish();
    age.mul_f64(0.9 + 0.2 * (random as f64 / u64::MAX as f64))
}

/// Notes when something was last read, in milliseconds since the connection began.
struct Watched<T> {
    io: T,
    begun: Instant,
    heard: Arc<AtomicU64>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let result = Pin::new(&mut self.io).poll_read(context, buffer);
        if result.is_ready() {
            let since = self.begun.elapsed().as_millis() as u64;
            self.heard.store(since, Ordering::Relaxed);
        }
        result
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
