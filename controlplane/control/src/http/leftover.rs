//! Bodies that nobody read: taken to their end before the answer goes out.
//!
//! Who is refused by the head alone (401, 404, 405, 415) is often still sending the body. The HTTP library would answer and
//! close the connection under it: clients see a broken connection instead of the answer, and lose one that they could keep.
//! Who announces too much, or waits for leave to send (`Expect`), is answered at once and told that the connection closes.

use super::{BODY, PATIENCE};
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::time::{Instant, timeout_at};

/// A body on loan to a handler; what it leaves comes back.
struct Lent {
    body: Body,
    whole: bool,
    back: Arc<Mutex<Option<Body>>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.whole |= matches!(frame, Poll::Ready(None));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.whole && !self.body.is_end_stream() {
            let body = std::mem::take(&mut self.body);
            *self.back.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}

/// Around every request: answers when the body is there, within [`PATIENCE`] of its begin.
pub(super) async fn take(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let end = Instant::now() + PATIENCE;
    let waits = request.headers().contains_key(header::EXPECT);
    let may_close = request.version() < Version::HTTP_2;
    let back = Arc::new(Mutex::new(None));
    let lender = back.clone();
    let lent = request.map(|body| Body::new(Lent { body, whole: false, back: lender }));
    let mut answer = next.run(lent).await;
    let left = back.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(left) = left else { return answer };
    let taken = !waits && timeout_at(end, drain(left)).await.unwrap_or(false);
    if !taken && may_close {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// Reads to the end and forgets; false when it is longer than [`BODY`] or broke off.
async fn drain(mut body: Body) -> bool {
    if body.size_hint().lower() > BODY as u64 {
        return false;
    }
    let mut room = BODY;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(frame) = frame else { return false };
        let Some(left) = room.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return false };
        room = left;
    }
    true
}
