//! One stream of HTTP/2, which is one gRPC call: reads requests, writes responses and the status.

use std::future::{Future, pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::call::{Command, Connected, Shared};
use crate::connection::Server;
use crate::events::Event;
use crate::framing::{Chunk, Message, Messages, Progress};
use crate::limits::{GOODBYE, LINGER};

/// Numbers of gRPC's status codes.
const DEADLINE_EXCEEDED: i32 = 4;
const RESOURCE_EXHAUSTED: i32 = 8;
const UNIMPLEMENTED: i32 = 12;
const INTERNAL: i32 = 13;

/// Headers that are gRPC's own, and none of the call's metadata.
const OWN: [&str; 6] = [
    "content-type",
    "te",
    "grpc-timeout",
    "grpc-encoding",
    "grpc-accept-encoding",
    "content-length",
];

/// Why we end a call ourselves.
struct Fault(i32, String);

/// The stream has come to its end without us.
struct Gone;

pub async fn serve(
    server: Arc<Server>,
    connected: Arc<Connected>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Chunk>,
) {
    if let Some(status) = not_grpc(&request) {
        let mut response = Response::new(());
        *response.status_mut() = status;
        let _ = respond.send_response(response, true);
        return;
    }
    let (head, mut body) = request.into_parts();
    let (commands, receiver) = mpsc::unbounded_channel();
    let call = Arc::new(Shared {
        id: server.next_id(),
        method: head.uri.path().to_owned(),
        metadata: metadata(&head.headers),
        connected,
        commands,
        outbox: server.outbox.clone(),
        pending: Default::default(),
        awaited: Default::default(),
        untaken: Default::default(),
        wanted: Default::default(),
        stalled: Default::default(),
        credit: Default::default(),
        counted: true.into(),
        finished: Default::default(),
    });
    call.connected.calls.fetch_add(1, Ordering::SeqCst);
    let longest = head.headers.get("grpc-timeout").and_then(timeout_of);
    server.queue.push(Event::Call(call.clone()));
    let mut writer = Writer {
        respond,
        stream: None,
        midway: false,
        commands: receiver,
        call: &call,
        server: &server,
    };
    let over = {
        let reading = read(&mut body, &call, &server);
        tokio::select! {
            over = writer.run() => over,
            fault = reading => writer.fail(fault),
            () = after(longest) => {
                writer.fail(Fault(DEADLINE_EXCEEDED, "Deadline Exceeded".to_owned()))
            }
        }
    };
    if over.is_err() {
        server.queue.push(Event::Cancelled(call.id));
    }
    drop(writer);
    let _ = timeout(GOODBYE, until_client_ends(body)).await;
}

/// A client that is still writing when it is reset may take that for the call's status, so it gets
/// time to read the one that was said. Its window is not opened again.
async fn until_client_ends(mut body: RecvStream) {
    while let Some(Ok(_)) = body.data().await {}
}

fn not_grpc(request: &Request<RecvStream>) -> Option<StatusCode> {
    if request.method() != Method::POST {
        return Some(StatusCode::METHOD_NOT_ALLOWED);
    }
    let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let fits = kind.starts_with(b"application/grpc")
        && matches!(kind.get(16), None | Some(b'+') | Some(b';'));
    (!fits).then_some(StatusCode::UNSUPPORTED_MEDIA_TYPE)
}

fn metadata(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let pairs = headers.iter().filter(|(name, _)| !OWN.contains(&name.as_str()));
    pairs.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}

/// `grpc-timeout`: at most eight digits and a unit.
fn timeout_of(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

async fn after(longest: Option<Duration>) {
    match longest {
        Some(duration) => sleep(duration).await,
        None => pending().await,
    }
}

/// Read requests for as long as Python has room for them; returns only if the call has to end.
///
/// Bytes are taken from h2 as they come, as each small frame that lies there costs it far more than
/// its bytes; what bounds them is that the window opens again only once Python has room.
async fn read(body: &mut RecvStream, call: &Shared, server: &Server) -> Fault {
    let mut messages = Messages::default();
    let mut unreleased = 0;
    let mut ended = false;
    loop {
        match messages.progress() {
            Progress::More => {}
            Progress::Compressed => {
                return Fault(UNIMPLEMENTED, "compressed requests are not taken".to_owned());
            }
            Progress::Nonsense(byte) => {
                return Fault(INTERNAL, format!("a request begins with {byte}, not with 0 or 1"));
            }
            Progress::Begun(length) => {
                let most = server.limits.message_bytes;
                if length > most {
                    let text = format!("a request of {length} bytes: at most {most} are taken");
                    return Fault(RESOURCE_EXHAUSTED, text);
                }
                while !call.may_read(length) {
                    call.stalled.store(true, Ordering::SeqCst);
                    if call.may_read(length) {
                        break; // it may have been invited before it was said to be stalled
                    }
                    tokio::select! {
                        () = call.credit.notified() => {}
                        data = body.data(), if !ended => match data {
                            Some(Ok(data)) => {
                                unreleased += data.len();
                                messages.add(data);
                            }
                            Some(Err(_)) => return pending().await, // the writer sees it too
                            None => ended = true,
                        },
                    }
                }
                if let Some(message) = messages.message() {
                    call.wanted.store(false, Ordering::SeqCst);
                    call.untaken.fetch_add(1, Ordering::SeqCst);
                    server.queue.push(Event::Request(call.id, message));
                    continue;
                }
            }
        }
        if unreleased > 0 {
            let _ = body.flow_control().release_capacity(std::mem::take(&mut unreleased));
        }
        if ended && messages.is_empty() {
            server.queue.push(Event::RequestsEnded(call.id));
            return pending().await;
        }
        if ended {
            return Fault(INTERNAL, "the last request is not whole".to_owned());
        }
        match body.data().await {
            Some(Ok(data)) => {
                let _ = body.flow_control().release_capacity(data.len());
                messages.add(data);
            }
            Some(Err(_)) => return pending().await, // the writer sees it too
            None => ended = true,
        }
    }
}

struct Writer<'a> {
    respond: SendResponse<Chunk>,
    stream: Option<SendStream<Chunk>>,
    /// True while a response is written in part.
    midway: bool,
    commands: mpsc::UnboundedReceiver<Command>,
    call: &'a Shared,
    server: &'a Server,
}

impl Writer<'_> {
    /// Do what Python says until it says the status.
    async fn run(&mut self) -> Result<(), Gone> {
        loop {
            let command = tokio::select! {
                command = self.commands.recv() => command,
                () = over(&mut self.respond, &mut self.stream) => return Err(Gone),
            };
            match command {
                None => return Err(Gone),
                Some(Command::Send(message)) => {
                    self.send(message).await?;
                    if self.call.pending.fetch_sub(1, Ordering::SeqCst) == 1
                        && self.call.awaited.swap(false, Ordering::SeqCst)
                    {
                        self.server.queue.push(Event::Flushed(self.call.id));
                    }
                }
                Some(Command::Finish { code, details, trailers }) => {
                    return self.finish(code, &details, trailers);
                }
            }
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), Gone> {
        if self.stream.is_none() {
            self.stream = Some(self.respond.send_response(head(), false).map_err(|_| Gone)?);
        }
        let stream = self.stream.as_mut().ok_or(Gone)?;
        let mut rest = Chunk::message(message);
        self.midway = true;
        while bytes::Buf::has_remaining(&rest) {
            let left = bytes::Buf::remaining(&rest);
            stream.reserve_capacity(left);
            let room = poll_fn(|context| stream.poll_capacity(context));
            let room = match unless_finished(room, self.call).await {
                Some(Some(Ok(room))) => room,
                Some(_) => return Err(Gone),
                None => {
                    stream.send_reset(Reason::CANCEL);
                    return Err(Gone);
                }
            };
            if room > 0 {
                let part = rest.split_to(room.min(left));
                stream.send_data(part, false).map_err(|_| Gone)?;
            }
        }
        self.midway = false;
        Ok(())
    }

    fn finish(
        &mut self,
        code: i32,
        details: &str,
        more: Vec<(String, Vec<u8>)>,
    ) -> Result<(), Gone> {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(code));
        if !details.is_empty() {
            trailers.insert("grpc-message", escaped(details));
        }
        for (name, value) in more {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::from_bytes(&value))
            {
                trailers.append(name, value);
            }
        }
        match self.stream.as_mut() {
            Some(stream) => stream.send_trailers(trailers).map_err(|_| Gone),
            None => {
                let mut response = head();
                response.headers_mut().extend(trailers);
                self.respond.send_response(response, true).map(|_| ()).map_err(|_| Gone)
            }
        }
    }

    /// End the call for a reason of ours; Python is to hear that it is over.
    fn fail(&mut self, fault: Fault) -> Result<(), Gone> {
        if self.midway {
            // No status can be said in the middle of a response.
            self.respond.send_reset(Reason::CANCEL);
        } else {
            self.finish(fault.0, &fault.1, Vec::new())?;
        }
        Err(Gone)
    }
}

/// What is waited for; None if a status has been said meanwhile, and the client takes too long.
async fn unless_finished<T>(waiting: impl Future<Output = T>, call: &Shared) -> Option<T> {
    tokio::pin!(waiting);
    tokio::select! {
        biased;
        value = &mut waiting => return Some(value),
        () = call.finished.notified() => {}
    }
    timeout(LINGER, waiting).await.ok()
}

/// Until the client resets the stream, or the connection is lost.
async fn over(respond: &mut SendResponse<Chunk>, stream: &mut Option<SendStream<Chunk>>) {
    let _ = match stream {
        Some(stream) => poll_fn(|context| stream.poll_reset(context)).await,
        None => poll_fn(|context| respond.poll_reset(context)).await,
    };
}

fn head() -> Response<()> {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity"));
    response
}

/// A status' text as gRPC sends it: what is not printable ASCII, and '%', as %XX.
fn escaped(text: &str) -> HeaderValue {
    let mut out = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            out.push(byte);
        } else {
            out.extend(format!("%{byte:02X}").bytes());
        }
    }
    HeaderValue::from_maybe_shared(Bytes::from(out)).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_escaped_as_grpc_wants_it() {
        assert_eq!(escaped("a b~"), "a b~");
        assert_eq!(escaped("50 % é\n"), "50 %25 %C3%A9%0A");
    }

    #[test]
    fn timeouts_have_eight_digits_at_most_and_a_unit() {
        let of = |text: &'static str| timeout_of(&HeaderValue::from_static(text));
        assert_eq!(of("2S"), Some(Duration::from_secs(2)));
        assert_eq!(of("15m"), Some(Duration::from_millis(15)));
        assert_eq!(of("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for wrong in ["", "S", "2", "2x", "123456789S", "-1S"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
