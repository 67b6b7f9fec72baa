//! CPU time of a process by what its threads do, from their names.

use std::collections::BTreeMap;

use procfs::process::Process;

/// What a thread works on, in the order in which a frame meets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// Network, jitter buffer, taking the stream apart.
    Receive,
    /// Encoded pictures → planes.
    Decode,
    /// Planes → tensor → detections.
    Detect,
    /// Detections → tracks → results.
    Track,
    /// Boxes onto pictures.
    Annotate,
    /// Pictures → encoded file.
    Encode,
}

impl Work {
    /// As told in tables and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Decode => "decode",
            Self::Detect => "detect",
            Self::Track => "track, publish",
            Self::Annotate => "annotate",
            Self::Encode => "encode",
        }
    }

    /// Names of our own threads are told in ARCHITECTURE.md, those of GStreamer come from the names
    /// of the elements in `pipelines/`; a decoder's own threads inherit theirs.
    fn of_thread(name: &str) -> Self {
        let is = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
        if is(&["decode:"]) {
            Self::Decode
        } else if is(&["record:"]) {
            Self::Encode
        } else if is(&["annot-"]) {
            Self::Annotate
        } else if is(&["detect-", "carry"]) {
            Self::Detect
        } else if is(&["track", "publish", "gantryd", "bench"]) {
            Self::Track
        } else {
            Self::Receive
        }
    }
}

/// CPU seconds of this process's threads that are alive, by thread.
#[derive(Debug, Clone, Default)]
pub struct ThreadTimes(BTreeMap<i32, (Work, f64)>);

impl ThreadTimes {
    /// As they are now.
    pub fn now() -> Self {
        let Ok(tasks) = Process::myself().and_then(|process| process.tasks()) else {
            return Self::default();
        };
        let ticks = procfs::ticks_per_second() as f64;
        let times = tasks.flatten().filter_map(|task| {
            let stat = task.stat().ok()?;
            let secs = (stat.utime + stat.stime) as f64 / ticks;
            Some((task.tid, (Work::of_thread(&stat.comm), secs)))
        });
        Self(times.collect())
    }

    /// What was spent since `before`, in seconds; threads that have ended meanwhile are not in it.
    pub fn since(&self, before: &Self) -> BTreeMap<Work, f64> {
        let mut spent = BTreeMap::new();
        for (thread, (work, secs)) in &self.0 {
            let then = before.0.get(thread).map_or(0.0, |(_, secs)| *secs);
            *spent.entry(*work).or_default() += secs - then;
        }
        spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_known_by_their_names() {
        for (name, work) in [
            ("decode:src", Work::Decode),
            ("record:src", Work::Encode),
            ("annot-3", Work::Annotate),
            ("detect-0", Work::Detect),
            ("track", Work::Track),
            ("rtpjitterbuffer", Work::Receive),
            ("cap-0", Work::Receive),
        ] {
            assert_eq!(Work::of_thread(name), work, "{name}");
        }
    }

    #[test]
    fn a_thread_that_works_is_charged() {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (told, ready) = std::sync::mpsc::channel();
        let worker = std::thread::Builder::new()
            .name("detect-9".to_owned())
            .spawn(move || {
                let began = crate::base::thread_cpu_time();
                let mut number = 1_u64;
                while (crate::base::thread_cpu_time() - began).as_millis() < 60 {
                    number = std::hint::black_box(number.wrapping_mul(3));
                }
                told.send(()).unwrap();
                wait.recv().ok();
            })
            .unwrap();
        let before = ThreadTimes::default();
        ready.recv().unwrap();
        let spent = ThreadTimes::now().since(&before);
        drop(go);
        worker.join().unwrap();
        assert!(spent[&Work::Detect] >= 0.04, "{spent:?}");
    }
}
