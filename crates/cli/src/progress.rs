//! Progress on stderr: a bar with ETA on a terminal, one line for each stage elsewhere.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::say;

/// Draws progress and notices Ctrl-C.
pub struct Terminal {
    bar: Mutex<Option<ProgressBar>>,
    interrupted: Arc<AtomicBool>,
}

impl Terminal {
    /// Installs the Ctrl-C handler: the first signal asks the work to stop at the next step, the second one kills.
    pub fn new() -> anyhow::Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&interrupted);
        ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            say("\nstopping at the next step; press Ctrl-C again to stop at once");
        })
        .context("the Ctrl-C handler could not be installed")?;
        Ok(Terminal { bar: Mutex::new(None), interrupted })
    }

    fn with_bar(&self, act: impl FnOnce(&ProgressBar)) {
        if let Ok(bar) = self.bar.lock()
            && let Some(bar) = bar.as_ref()
        {
            act(bar);
        }
    }
}

impl dtmm::Progress for Terminal {
    fn begin(&self, stage: &str, steps: u64) {
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
        let template = "{prefix:<28} {bar:24} {pos}/{len} {elapsed} (ETA {eta}) {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(stage.to_owned());
        if bar.is_hidden() {
            say(&format!("{stage} ..."));
        }
        if let Ok(mut slot) = self.bar.lock() {
            *slot = Some(bar);
        }
    }

    fn advance(&self, done: u64, note: &str) {
        self.with_bar(|bar| {
            bar.set_position(done);
            bar.set_message(note.to_owned());
        });
    }

    fn note(&self, text: &str) {
        match self.bar.lock().as_deref() {
            Ok(Some(bar)) if !bar.is_hidden() => bar.println(text),
            // Between stages there is no bar.
            _ => say(text),
        }
    }

    fn end(&self, summary: &str) {
        self.with_bar(|bar| {
            bar.finish_and_clear();
            say(&format!("{:<28} {summary}", bar.prefix()));
        });
        if let Ok(mut slot) = self.bar.lock() {
            *slot = None;
        }
    }

    fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }
}
