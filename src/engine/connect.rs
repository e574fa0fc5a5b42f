//! Attribution of connection set-up to the request that waited for it.
//!
//! The client pools connections and does not say which request opened one. A layer around its connector times
//! each set-up and leaves the duration in a slot of the task that asked for it.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tower_layer::Layer;
use tower_service::Service;

use crate::units::Nanos;

tokio::task_local! {
    static SLOT: Cell<Option<Nanos>>;
}

/// Runs `future` and returns its output with the time it spent on opening a connection, if it did.
pub(crate) async fn attributed<F: Future>(future: F) -> (F::Output, Option<Nanos>) {
    SLOT.scope(Cell::new(None), async {
        let output = future.await;
        (output, SLOT.with(Cell::get))
    })
    .await
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectTimer;

impl<S> Layer<S> for ConnectTimer {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Timed<S> {
        Timed { inner }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Timed<S> {
    inner: S,
}

impl<S, R> Service<R> for Timed<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let start = Instant::now();
        let connecting = self.inner.call(request);
        Box::pin(async move {
            let connection = connecting.await;
            // Outside of a request (a connection that lost the race against a pooled one) there is no slot.
            let _ = SLOT.try_with(|slot| slot.set(Some(start.elapsed().as_nanos() as Nanos)));
            connection
        })
    }
}
