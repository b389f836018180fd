//! Calls `xds:///` targets with the xDS client of tonic-xds.
//!
//! Each line of standard input is a call, {"target": …, "deadline": seconds}; each line of standard
//! output is its outcome, {"code": …, "said": the answer or the details, "seconds": …}. A target
//! keeps its channel.

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut};
use serde::{Deserialize, Serialize};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Request, Status};
use tonic_xds::{XdsChannelBuilder, XdsChannelConfig, XdsChannelGrpc, XdsUri};

const METHOD: &str = "/hello.Hello/SayHello";

#[derive(Deserialize)]
struct Asked {
    target: String,
    deadline: f64,
}

#[derive(Serialize)]
struct Outcome {
    code: String,
    said: String,
    seconds: f64,
}

/// Passes messages as they are: both sides agree on plain bytes.
#[derive(Default)]
struct PlainBytes;

impl Codec for PlainBytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = PlainBytes;
    type Decoder = PlainBytes;

    fn encoder(&mut self) -> PlainBytes {
        PlainBytes
    }

    fn decoder(&mut self) -> PlainBytes {
        PlainBytes
    }
}

impl Encoder for PlainBytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&message);
        Ok(())
    }
}

impl Decoder for PlainBytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}

/// The spelling of the status codes that every other client of these tests prints.
fn name(code: Code) -> String {
    let mut spelt = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !spelt.is_empty() {
            spelt.push('_');
        }
        spelt.push(letter.to_ascii_uppercase());
    }
    if code == Code::Ok { "OK".into() } else { spelt }
}

fn channel(target: &str) -> Result<XdsChannelGrpc, Box<dyn Error>> {
    let config = XdsChannelConfig::new(XdsUri::parse(target)?).with_bootstrap_from_env()?;
    Ok(XdsChannelBuilder::new(config).build_grpc_channel()?)
}

async fn call(channel: XdsChannelGrpc, deadline: Duration) -> Result<Vec<u8>, Status> {
    let mut client = tonic::client::Grpc::new(channel);
    let attempt = async {
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let answer = client.unary(Request::new(Vec::new()), METHOD.parse().unwrap(), PlainBytes);
        Ok(answer.await?.into_inner())
    };
    match tokio::time::timeout(deadline, attempt).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Status::deadline_exceeded("the call's own deadline")),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut channels: HashMap<String, XdsChannelGrpc> = HashMap::new();
    for line in stdin().lock().lines() {
        let asked: Asked = serde_json::from_str(&line?)?;
        let began = Instant::now();
        let _inside = runtime.enter();
        if !channels.contains_key(&asked.target) {
            channels.insert(asked.target.clone(), channel(&asked.target)?);
        }
        let deadline = Duration::from_secs_f64(asked.deadline);
        let outcome = runtime.block_on(call(channels[&asked.target].clone(), deadline));
        let (code, said) = match outcome {
            Ok(answer) => ("OK".into(), String::from_utf8_lossy(&answer).into_owned()),
            Err(status) => (name(status.code()), status.message().to_owned()),
        };
        let seconds = began.elapsed().as_secs_f64();
        println!("{}", serde_json::to_string(&Outcome { code, said, seconds })?);
        stdout().flush()?;
    }
    Ok(())
}
