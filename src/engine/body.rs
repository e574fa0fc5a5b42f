//! A request's body that knows when it was taken.
//!
//! Between the call that sends a request and its first byte the HTTP library picks a connection and wakes the task that
//! owns it. That task takes the body when the head is ready, and writes both at once: this is when a request is sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// When a body was taken, as far as it was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken(Arc<OnceLock<Instant>>);

impl Taken {
    /// The moment at which writing began; `None` if it has not.
    pub(crate) fn at(&self) -> Option<Instant> {
        self.0.get().copied()
    }
}

/// A body of known length.
#[derive(Debug)]
pub(crate) struct Body {
    bytes: Option<Bytes>,
    taken: Taken,
}

impl Body {
    pub(crate) fn new(bytes: Bytes, taken: Taken) -> Self {
        Self { bytes: Some(bytes), taken }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = self.bytes.take();
        if bytes.is_some() {
            // A body is taken once; a request that is sent again has another.
            let _ = self.taken.0.set(Instant::now());
        }
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, Bytes::len) as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use http_body::Body as _;

    use super::*;

    #[test]
    fn a_body_knows_when_it_was_taken() {
        let (before, taken) = (Instant::now(), Taken::default());
        let mut body = Body::new(Bytes::from_static(b"abc"), taken.clone());
        // HTTP/1.1 sends a length only if it is known before.
        assert_eq!((body.size_hint().exact(), body.is_end_stream(), taken.at()), (Some(3), false, None));
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut cx) else { panic!("no frame") };
        assert_eq!(frame.into_data().unwrap(), "abc");
        let at = taken.at().unwrap();
        assert!(at >= before);
        assert!(matches!(Pin::new(&mut body).poll_frame(&mut cx), Poll::Ready(None)));
        assert_eq!((body.size_hint().exact(), body.is_end_stream(), taken.at()), (Some(0), true, Some(at)));
    }
}
