//! No secret reaches a file or an output, whatever a server does with it.

use std::net::SocketAddr;

use crate::support::{Output, Project, respond, serve, unbroken};

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

#[test]
fn what_is_no_secret_stays() {
    let project = Project::new();
    let output = project.tokpace(&format!("run --quick --set=model={SECRET} --out results"));
    output.expect(0, &["chat ... missing"]);
    assert!(project.read("results/run.json").contains(SECRET), "a model's name is kept as it was given");
}
