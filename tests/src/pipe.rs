//! `zonetool peer listen` and `peer dial` as processes: bytes in, bytes out, and what happens told
//! on standard error.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    thread::{self, JoinHandle},
};

use serde_json::Value;

use crate::{program::signal, wait};

/// A process whose standard input and output are a pipe to somebody else. It is killed when it is
/// dropped.
pub struct Pipe {
    child: Child,
    input: Option<ChildStdin>,
    output: Option<JoinHandle<Vec<u8>>>,
    lines: mpsc::Receiver<String>,
    /// What it has said on standard error so far, a document each; what was none is a string.
    pub said: Vec<Value>,
}

/// What it came to.
#[derive(Debug)]
pub struct End {
    /// The exit code.
    pub code: i32,
    /// Everything that the other side said.
    pub output: Vec<u8>,
    /// Everything on standard error.
    pub said: Vec<Value>,
}

impl End {
    /// The message of the error that ended it.
    ///
    /// # Panics
    /// If there was none.
    pub fn error(&self) -> &str {
        let error = self.said.iter().find_map(|said| said["error"]["message"].as_str());
        error.unwrap_or_else(|| panic!("no error: {self:?}"))
    }
}

impl Pipe {
    /// Starts the command.
    ///
    /// # Panics
    /// If it can't be started.
    pub fn start(mut command: Command) -> Pipe {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut stdout = child.stdout.take().expect("piped");
        let output = thread::spawn(move || {
            let mut all = Vec::new();
            // What comes after an error is nothing.
            let _ = stdout.read_to_end(&mut all);
            all
        });
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| drop(send.send(line)))
        });
        let input = child.stdin.take();
        Pipe { child, input, output: Some(output), lines, said: Vec::new() }
    }

    /// The next thing of this kind that it says, or has said.
    ///
    /// # Panics
    /// If it ends before.
    pub fn event(&mut self, kind: &str) -> Value {
        let mut looked = 0;
        wait::until(&format!("'{kind}' of {:?}", self.said), || {
            let ended = self.listen();
            let found = self.said[looked..].iter().find(|said| said["event"] == kind).cloned();
            looked = self.said.len();
            assert!(found.is_some() || !ended, "it ended without '{kind}': {:?}", self.said);
            found
        })
    }

    /// Whether it has said this kind of thing, once it has or has ended.
    pub fn came_to(&mut self, kind: &str) -> Option<bool> {
        let ended = self.listen();
        let said = self.said.iter().any(|said| said["event"] == kind);
        (said || ended).then_some(said)
    }

    /// The address that it listens at.
    ///
    /// # Panics
    /// If it ends instead.
    pub fn address(&mut self) -> SocketAddr {
        let listening = self.event("listening");
        listening["address"].as_str().and_then(|text| text.parse().ok()).expect("an address")
    }

    /// Takes what was said; whether nothing will be said any more.
    fn listen(&mut self) -> bool {
        loop {
            match self.lines.try_recv() {
                Ok(line) => {
                    self.said.push(serde_json::from_str(&line).unwrap_or(Value::String(line)))
                }
                Err(error) => return error == mpsc::TryRecvError::Disconnected,
            }
        }
    }

    /// Says something to the other side.
    ///
    /// # Panics
    /// If it takes nothing any more.
    pub fn say(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("it was not hung up");
        input.write_all(bytes).and_then(|()| input.flush()).expect("it reads");
    }

    /// Says all of it, on a thread, and then hangs up.
    ///
    /// # Panics
    /// If it was hung up before.
    pub fn say_all(&mut self, bytes: Vec<u8>) {
        let mut input = self.input.take().expect("it was not hung up");
        // If it ends first, its exit code tells.
        thread::spawn(move || input.write_all(&bytes));
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        signal("INT", &self.child.id().to_string());
    }

    /// Has nothing more to say.
    pub fn hang_up(&mut self) {
        self.input = None;
    }

    /// Waits for its end, after it was hung up.
    ///
    /// # Panics
    /// If it does not end.
    pub fn end(mut self) -> End {
        self.hang_up();
        let status = wait::until("the end of a pipe", || {
            self.child.try_wait().expect("it can be waited for")
        });
        let output = self.output.take().expect("it was not waited for").join().expect("it reads");
        wait::until("the end of what it says", || self.listen().then_some(()));
        End { code: status.code().unwrap_or(-1), output, said: std::mem::take(&mut self.said) }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
