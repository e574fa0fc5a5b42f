//! PPL.LLM's gRPC service.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use prost::Message as _;
use serde_json::{Value, json};

use super::dialect::{Answer, Asked, Choice, Dialect, Own, Token};
use super::http::Refusal;
use super::stream::Events;
use crate::tokens::Tokenizer;
use crate::wire::grpc;
pub(super) use crate::wire::ppl_messages::PATH;
use crate::wire::ppl_messages::{BatchedRequest, BatchedResponse, Request, Response as Piece, Status, Tokens};

/// As its server writes it: a message for each token, the status of the call in the trailers.
pub(super) const DIALECT: Dialect = Dialect {
    id: "ppl",
    parse,
    head: |_| String::new(),
    opening: |_| None,
    token,
    end: |_| Vec::new(),
    error,
    // A message of two bytes that claims to hold one of 127.
    garbage: b"\0\0\0\0\x02\x0a\x7f",
    body,
    stream: |events| respond(Body::new(Call { events: Some(events) })),
    refusal,
};

/// Bytes in front of a message.
const HEAD: usize = 5;

fn parse(body: &[u8], _stream: Option<bool>) -> Result<Asked, Refusal> {
    let bad = |message: String| Refusal::bad_request(format!("the body is not a request of PPL.LLM: {message}"));
    let Some((&[compressed, a, b, c, d], message)) = body.split_first_chunk::<HEAD>() else {
        return Err(bad(format!("{} bytes are no message of gRPC", body.len())));
    };
    if compressed != 0 {
        let message = "the message is compressed; send it as it is".into();
        return Err(Refusal { status: StatusCode::NOT_IMPLEMENTED, code: None, message });
    }
    if u32::from_be_bytes([a, b, c, d]) as usize != message.len() {
        return Err(bad(format!("one message of {} bytes was expected", message.len())));
    }
    let batch = BatchedRequest::decode(message).map_err(|error| bad(error.to_string()))?;
    if batch.req.is_empty() {
        return Err(Refusal::bad_request("`req` is empty; send at least one"));
    }
    let own = batch.req.iter().map(own).collect::<Result<_, _>>()?;
    let prompts = batch.req.into_iter().map(|request| vec![request.prompt]).collect();
    Ok(Asked { model: None, prompts, max_tokens: 1, own, stream: true, include_usage: false })
}

fn own(request: &Request) -> Result<Own, Refusal> {
    let max_tokens = request.stopping_parameters.as_ref().map_or(0, |parameters| parameters.max_new_tokens);
    if max_tokens == 0 {
        let message =
            format!("`stopping_parameters.max_new_tokens` of request {} is 0; ask for at least 1", request.id);
        return Err(Refusal::bad_request(message));
    }
    // A text goes before tokens.
    let tokens = request.tokens.as_ref().filter(|_| request.prompt.is_empty()).map(|tokens| tokens.ids.clone());
    Ok(Own { id: request.id, max_tokens, tokens })
}

fn token(answer: &mut Answer, token: Token) -> Option<Bytes> {
    if !token.said && !token.last {
        return None;
    }
    let choice = &mut answer.choices[token.choice];
    let mut generated = String::new();
    if token.said {
        choice.words.push_next(&mut generated);
    }
    let mut tokens = None;
    if choice.own.tokens.is_some() && token.said {
        let ids = Tokenizer::bundled().ids(&std::mem::take(&mut generated));
        tokens = Some(Tokens { ids });
    }
    let status = if token.last { Status::Finished } else { Status::Processing };
    Some(framed(vec![Piece { status: status.into(), id: choice.own.id, generated, tokens }]))
}

fn framed(rsp: Vec<Piece>) -> Bytes {
    grpc::frame(&BatchedResponse { rsp }.encode_to_vec()).into()
}

/// All requests of the call have failed. PPL.LLM's own server does not say why.
fn error(answer: &Answer, message: &str) -> Vec<Bytes> {
    let failed = |choice: &Choice| Piece {
        status: Status::Failed.into(),
        id: choice.own.id,
        generated: message.to_owned(),
        tokens: None,
    };
    vec![framed(answer.choices.iter().map(failed).collect())]
}

/// No client of gRPC takes this for an answer.
fn body(answer: &mut Answer) -> Value {
    let piece = |choice: &mut Choice| json!({ "status": "FINISHED", "id": choice.own.id, "generated": choice.whole() });
    json!({ "rsp": answer.choices.iter_mut().map(piece).collect::<Vec<_>>() })
}

fn respond(body: Body) -> Response {
    ([(CONTENT_TYPE, grpc::CONTENT_TYPE)], body).into_response()
}

/// An answer that is nothing but the status of the call.
fn refusal(refusal: &Refusal) -> Response {
    let code = match refusal.status {
        StatusCode::UNAUTHORIZED => 16,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::PAYLOAD_TOO_LARGE => 8,
        StatusCode::NOT_IMPLEMENTED => 12,
        StatusCode::SERVICE_UNAVAILABLE => 14,
        status if status.is_server_error() => 13,
        _ => 3,
    };
    let mut response = respond(Body::empty());
    response.headers_mut().extend(trailers(code, &refusal.message));
    response
}

fn trailers(code: u16, message: &str) -> HeaderMap {
    let mut trailers = HeaderMap::from_iter([(STATUS, HeaderValue::from(code))]);
    // Nothing is left in it that a header may not hold.
    if let Ok(message) = HeaderValue::try_from(grpc::percent_encoded(message))
        && !message.is_empty()
    {
        trailers.insert(MESSAGE, message);
    }
    trailers
}

const STATUS: axum::http::HeaderName = axum::http::HeaderName::from_static(grpc::STATUS);
const MESSAGE: axum::http::HeaderName = axum::http::HeaderName::from_static(grpc::MESSAGE);

/// A stream of messages, and that all went well.
struct Call {
    /// `None` once they have ended.
    events: Option<Events>,
}

impl http_body::Body for Call {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        let Some(events) = &mut self.events else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(events).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.events = None;
        }
        Poll::Ready(Some(frame.unwrap_or_else(|| Ok(Frame::trailers(trailers(0, ""))))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ppl_messages::StoppingCriteriaParameters;

    fn request(id: u64, prompt: &str, max_new_tokens: u32) -> Request {
        let stopping = StoppingCriteriaParameters { max_new_tokens, ..StoppingCriteriaParameters::default() };
        Request { id, prompt: prompt.into(), stopping_parameters: Some(stopping), ..Request::default() }
    }

    fn call(req: Vec<Request>) -> Vec<u8> {
        grpc::frame(&BatchedRequest { req }.encode_to_vec())
    }

    #[test]
    fn each_prompt_has_its_own_length_and_number() {
        let tokens = Some(Tokens { ids: vec![5, 6] });
        let body = call(vec![request(7, "one", 3), Request { tokens, ..request(9, "", 5) }]);
        let asked = parse(&body, None).ok().unwrap();
        assert_eq!(asked.prompts, [["one"], [""]]);
        let own = |id, max_tokens, tokens| Own { id, max_tokens, tokens };
        assert_eq!(asked.own, [own(7, 3, None), own(9, 5, Some(vec![5, 6]))]);
        assert!(asked.stream);
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        let good = call(vec![request(1, "one", 1)]);
        assert!(parse(&good, None).is_ok());
        let compressed = [&[1], &good[1..]].concat();
        for body in [
            &b""[..],
            b"\0\0\0\0",
            b"\0\0\0\0\0",
            b"\0\0\0\0\x02\x0a\x7f",
            &good[..good.len() - 1],
            &[&good[..], b"x"].concat(),
            &compressed,
            &call(vec![request(1, "one", 0)]),
            &call(vec![Request::default()]),
        ] {
            assert!(parse(body, None).is_err(), "{body:?}");
        }
    }

    #[test]
    fn a_refusal_is_a_status_and_nothing_else() {
        let refused = refusal(&Refusal::bad_request("`req` is 100 % empty"));
        assert_eq!(refused.status(), StatusCode::OK);
        let header = |name: &str| refused.headers().get(name).and_then(|value| value.to_str().ok());
        assert_eq!((header(grpc::STATUS), header(grpc::MESSAGE)), (Some("3"), Some("`req` is 100 %25 empty")));
        assert_eq!(header("content-type"), Some("application/grpc"));
    }
}
