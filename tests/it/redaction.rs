//! No secret reaches a file or an output, whatever a server does with it.

use std::io::Write as _;
use std::net::SocketAddr;

use crate::support::{Output, Project, respond, serve, tokpace, unbroken};

const SECRET: &str = "c0ffee-5ecret-value";

/// A server that tells in its errors what it was sent: at `/models` as well if `everywhere`, else after a request
/// or two that it answers.
fn echo(everywhere: bool) -> SocketAddr {
    serve(move |request, stream| {
        let line = request.lines().next().unwrap_or_default();
        if !everywhere && line.starts_with("GET") {
            return respond(stream, "404 Not Found", "text/plain", "no such page");
        }
        let sent: Vec<&str> = request.lines().filter(|line| line.to_lowercase().contains("c0ffee")).collect();
        let said = serde_json::json!({ "error": { "message": format!("refused: {}", sent.join(" and ")) } });
        respond(stream, "401 Unauthorized", "application/json", &said.to_string());
    })
}

#[track_caller]
fn assert_hidden(project: &Project, output: &Output) {
    output.without(SECRET).without("c0ffee");
    let mut searched = 0;
    for (path, bytes) in project.files().iter().filter(|(path, _)| !path.ends_with(".env")) {
        let text = unbroken(&String::from_utf8_lossy(bytes));
        assert!(!text.contains("c0ffee"), "{} holds the secret:\n{text}", path.display());
        searched += 1;
    }
    assert!(searched > 5, "{searched} files");
}

/// The variable's name does not say that it holds a secret; the profile does.
const KEY: &str = "api_key_env = \"SERVER_ACCESS\"";

#[test]
fn a_key_that_the_server_echoes() {
    for (everywhere, keys) in [(false, "model = \"m\""), (true, "model = \"m\""), (true, "")] {
        let project = Project::against(echo(everywhere), &format!("{KEY}\n{keys}"))
            .with_variable("SERVER_ACCESS", SECRET)
            .with_variable("RUST_LOG", "debug");
        let output = project.tokpace("run");
        output.expect(3, &["chat ... invalid", "refused: ", "Bearer ***"]);
        assert_hidden(&project, &output);
        let output = project.perf("");
        output.expect(101, &["Bearer ***"]);
        assert_hidden(&project, &output);
        let output = project.tokpace("check");
        output.expect(3, &["***"]);
        assert_hidden(&project, &output);
    }
}

#[test]
fn headers_and_files_of_variables_are_secret_too() {
    let keys = "model = \"m\"\nheaders = { X-Access = \"${PLACE_PASS}\" }";
    let project = Project::against(echo(false), keys).with(".env", &format!("PLACE_PASS={SECRET}\n"));
    let output = project.tokpace("run");
    output.expect(3, &["***"]);
    assert_hidden(&project, &output);
}

#[test]
fn a_secret_of_several_words_is_hidden_wherever_lines_are_broken() {
    let keys = "model = \"m\"\nheaders = { X-Access = \"${PLACE_PASS}\" }";
    for length in [0, 20, 30, 40, 50] {
        let said = format!("{} c0ffee and milk for-c0ffee-lovers", "x".repeat(length));
        let address = serve(move |_, stream| respond(stream, "401 Unauthorized", "text/plain", &said));
        let project = Project::against(address, keys).with_variable("PLACE_PASS", "c0ffee and milk for-c0ffee-lovers");
        let output = project.tokpace("run");
        output.expect(3, &["***"]).without("and milk");
        assert_hidden(&project, &output);
    }
}

#[test]
fn no_half_of_a_secret_is_left_where_a_message_is_cut() {
    // Cut at 200 characters when a request is refused, at 500 otherwise.
    for (status, cut, length) in
        [("401 Unauthorized", 200, 185), ("401 Unauthorized", 200, 195), ("404 Not Found", 500, 490)]
    {
        let text = format!("{} {SECRET}, and more words", "x".repeat(length));
        assert!(text[..cut].ends_with(|c: char| c != ' ') && text[..cut].contains("c0f"));
        let address = serve(move |_, stream| respond(stream, status, "text/plain", &text));
        let project =
            Project::against(address, &format!("{KEY}\nmodel = \"m\"")).with_variable("SERVER_ACCESS", SECRET);
        let output = project.tokpace("run");
        output.expect(3, &["xxx"]).without("c0f");
        assert_hidden(&project, &output);
    }
}

/// A server that works, and tells what it was sent wherever it can: as its version, as the owner of its model, in the
/// answers, and in the errors of one request in forty.
fn talkative() -> SocketAddr {
    let requests = std::sync::atomic::AtomicUsize::new(1);
    serve(move |request, stream| {
        let line = request.lines().next().unwrap_or_default();
        let sent: Vec<&str> = request.lines().filter(|line| line.to_lowercase().contains("c0ffee")).collect();
        let sent = sent.join(" and ");
        if line.contains("/version") {
            return respond(stream, "200 OK", "application/json", &serde_json::json!({ "version": sent }).to_string());
        }
        if line.starts_with("GET") {
            let models = serde_json::json!({ "data": [{ "id": "m", "owned_by": sent }] });
            return respond(stream, "200 OK", "application/json", &models.to_string());
        }
        if requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed).is_multiple_of(40) {
            let said = serde_json::json!({ "error": { "message": format!("refused: {sent}") } });
            return respond(stream, "500 Internal Server Error", "application/json", &said.to_string());
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        let _ = stream.write_all(head.as_bytes());
        for _ in 0..5 {
            std::thread::sleep(std::time::Duration::from_millis(3));
            let delta = serde_json::json!({ "choices": [{ "index": 0, "delta": { "content": format!(" {sent}") } }] });
            let _ = stream.write_all(format!("data: {delta}\n\n").as_bytes());
        }
        let usage = serde_json::json!({ "choices": [], "usage": { "prompt_tokens": 16, "completion_tokens": 5 } });
        let _ = stream.write_all(format!("data: {usage}\n\ndata: [DONE]\n\n").as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Both);
    })
}

#[test]
fn nothing_that_is_kept_of_a_good_run_holds_a_key() {
    let keys = format!("{KEY}\nmodel = \"m\"\nheaders = {{ X-Access = \"${{PLACE_PASS}}\" }}");
    let project = Project::against(talkative(), &keys)
        .with_variable("SERVER_ACCESS", SECRET)
        .with_variable("PLACE_PASS", "c0ffee-and-milk")
        .with_variable("RUST_LOG", "debug");
    let run = project.tokpace("run --verbose");
    run.expect(0, &["chat ... missing", "***"]);
    assert_hidden(&project, &run);
    let pending = project.read("baselines/server/chat.toml.new");
    assert!(pending.contains("server.version") && pending.contains("***"), "{pending}");
    for (command, says) in [
        ("pending", "chat (server): missing"),
        ("pending --json", "\"state\": \"pending\""),
        ("review", "1/1 chat (server)"),
        ("accept chat --reason first", "first baseline, 1 job"),
        ("run", "against 1 accepted job"),
        ("history", "chat (server): "),
        ("history --json", "\"case\": \"chat\""),
        ("history chat --csv", "time,run,commit"),
        ("check", "ok    stream"),
    ] {
        let output = project.tokpace(command);
        assert!(output.stdout.contains(says), "{output}");
        assert_hidden(&project, &output);
    }
    assert!(project.read("baselines/server/chat.toml").contains("***"));
    let history = project.read("target/tokpace/history/server/chat.jsonl");
    assert!(history.contains("***") && history.contains("server.version"), "{history}");
}

#[test]
fn an_argument_and_a_variable_of_a_managed_server_are_kept_nowhere() {
    let command = format!("command = [{:?}, \"sim\", \"--port\", \"{{port}}\"]", tokpace().to_str().unwrap());
    // The model is told by the server, is asked for in each request and is a condition of the baseline.
    let keys = "args = [\"--set\", \"model=${PLACE_PASS}\"]\nenv = { PLACE_KEY = \"c0ffee-in-the-environment\" }";
    let file = format!("profile = \"local\"\n[profiles.local]\nkind = \"managed\"\n{command}\n{keys}\n");
    let project = Project::new().with("tokpace.toml", &file).with_variable("PLACE_PASS", SECRET);
    let run = project.tokpace("run --verbose");
    run.expect(0, &["chat ... missing"]);
    // The project's file holds the value that is written there.
    project.write("tokpace.toml", &file.replace("c0ffee-in-the-environment", "x"));
    assert_hidden(&project, &run);
    let accepted = project.tokpace("accept chat --reason first");
    accepted.expect(0, &["first baseline, 1 job"]);
    assert_hidden(&project, &accepted);
    let baseline = project.read("baselines/local/chat.toml");
    assert!(baseline.contains("${PLACE_PASS}") && baseline.contains("\"model\" = \"***\""), "{baseline}");
    assert!(project.exists("target/tokpace/history/local/chat.jsonl"));
}

#[test]
fn what_is_no_secret_stays() {
    let project = Project::new();
    let output = project.tokpace(&format!("run --quick --set=model={SECRET} --out results"));
    output.expect(0, &["chat ... missing"]);
    assert!(project.read("results/run.json").contains(SECRET), "a model's name is kept as it was given");
}
