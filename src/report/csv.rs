//! The requests of a run as comma-separated values.

use std::fmt::Write as _;

use crate::report::RequestLine;
use crate::report::escape;

/// One line a request, with a head line. Times in milliseconds; what a request does not have is empty.
pub fn csv(requests: &[RequestLine]) -> String {
    let mut text = String::from(
        "case,trial,side,phase,index,user,request_id,scheduled_ms,sent_ms,ttft_ms,ttfo_ms,tpot_ms,e2e_latency_ms,\
         max_stall_ms,connect_ms,input_tokens,output_tokens,cached_tokens,token_source,status,cancelled,error_class,error\n",
    );
    let millis = |nanos: Option<u64>| nanos.map_or_else(String::new, |nanos| format!("{:.6}", nanos as f64 / 1e6));
    let some = |value: Option<String>| value.unwrap_or_default();
    for request in requests {
        let cells = [
            escape::csv(&request.case),
            request.trial.to_string(),
            escape::csv(&request.side),
            escape::csv(&request.phase),
            request.index.to_string(),
            request.user.to_string(),
            escape::csv(&request.request_id),
            millis(Some(request.scheduled_ns)),
            millis(Some(request.sent_ns)),
            millis(request.ttft_ns),
            millis(request.ttfo_ns),
            millis(request.tpot_ns),
            millis(request.e2e_latency_ns),
            millis(request.max_stall_ns),
            millis(request.connect_ns),
            request.input_tokens.to_string(),
            request.output_tokens.to_string(),
            some(request.cached_tokens.map(|count| count.to_string())),
            escape::csv(request.token_source.as_deref().unwrap_or_default()),
            some(request.status.map(|status| status.to_string())),
            request.cancelled.to_string(),
            escape::csv(request.error_class.as_deref().unwrap_or_default()),
            escape::csv(request.error.as_deref().unwrap_or_default()),
        ];
        let _ = writeln!(text, "{}", cells.join(","));
    }
    text
}
