//! The newest seconds of a camera as it sent them: encoded pictures between capture, which puts them
//! in, and clips and the live video of the page, which take them out.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::StreamTime;

/// One encoded picture, as the camera sent it.
#[derive(Debug, Clone)]
pub struct Packet {
    /// Counted from 0 over all connections, without gaps.
    pub number: u64,
    /// The connection it came over; times compare only inside one.
    pub connection: u32,
    /// When it is shown, ns of the connection's running time.
    pub time_ns: u64,
    /// When it is decoded, ns; the same unless pictures are sent out of order.
    pub decode_ns: u64,
    /// Can be decoded without any other.
    pub is_key: bool,
    /// What the bytes are, in the words of GStreamer's caps.
    pub format: Arc<str>,
    /// The bytes.
    pub data: Arc<[u8]>,
}

/// Where a film can begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilmStart {
    /// Number of its first packet, a key frame.
    pub packet: u64,
    /// When that is shown or decoded, whichever is earlier: 0 of the film.
    pub time_ns: u64,
    /// It is later than was asked for, because what was wanted had to make room for newer packets.
    pub is_cut: bool,
}

/// What came since it was last asked.
#[derive(Debug, Default)]
pub struct NewPackets {
    /// In order.
    pub packets: Vec<Packet>,
    /// Some before them are lost: whoever asks is too slow.
    pub has_gap: bool,
}

/// What a camera sends at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentStream {
    /// What the bytes are, in the words of GStreamer's caps.
    pub format: Arc<str>,
    /// Pictures come in another order than they are shown in.
    pub is_reordered: bool,
}

/// Rings whenever a packet comes, on the thread that brings it: what it does must be quick.
pub struct Bell(Box<dyn Fn() + Send + Sync>);

impl Bell {
    /// Does this when it rings.
    #[must_use]
    pub fn new(ring: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self(Box::new(ring)))
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bell")
    }
}

/// Keeps the newest packets of a camera, whole groups from key frame to key frame, bounded by time and
/// by bytes.
#[derive(Debug)]
pub struct PacketRing {
    keep: Duration,
    max_bytes: u64,
    state: Mutex<State>,
    bells: Mutex<Vec<Weak<Bell>>>,
}

#[derive(Debug, Default)]
struct State {
    packets: VecDeque<Packet>,
    bytes: u64,
    next_number: u64,
    /// The newest moment that had to go for want of bytes.
    squeezed_out: Option<StreamTime>,
    /// Seen once in the connection under way.
    is_reordered: bool,
}

impl PacketRing {
    /// Will keep at least `keep` of the newest, as long as that is at most `max_bytes`.
    #[must_use]
    pub fn new(keep: Duration, max_bytes: u64) -> Self {
        Self {
            keep,
            max_bytes,
            state: Mutex::default(),
            bells: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a picture; its number is set here. Those of an earlier connection are forgotten.
    pub fn push(&self, mut packet: Packet) {
        let mut state = self.lock();
        packet.number = state.next_number;
        state.next_number += 1;
        state.bytes += packet.data.len() as u64;
        let (is_key, newest, connection) = (packet.is_key, packet.time_ns, packet.connection);
        let before = state.packets.back();
        let before = before.filter(|it| it.connection == connection);
        state.is_reordered = before.is_some_and(|it| state.is_reordered || newest < it.time_ns);
        state.packets.push_back(packet);
        state.forget_all_but(connection);
        if is_key {
            state.forget_before(newest.saturating_sub(nanos(self.keep)));
        }
        state.squeeze(self.max_bytes);
        drop(state);
        for bell in self.bells().iter().filter_map(Weak::upgrade) {
            (bell.0)();
        }
    }

    /// Rings `bell` for every packet from now on, as long as somebody else holds it.
    pub fn listen(&self, bell: &Arc<Bell>) {
        let mut bells = self.bells();
        bells.retain(|it| it.strong_count() > 0);
        bells.push(Arc::downgrade(bell));
    }

    fn bells(&self) -> MutexGuard<'_, Vec<Weak<Bell>>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the camera sends; `None` before its first packet.
    #[must_use]
    pub fn sent(&self) -> Option<SentStream> {
        let state = self.lock();
        let newest = state.packets.back()?;
        Some(SentStream {
            format: Arc::clone(&newest.format),
            is_reordered: state.is_reordered,
        })
    }

    /// The newest key frame and what came after it; empty where none is kept.
    #[must_use]
    pub fn newest_group(&self) -> Vec<Packet> {
        let state = self.lock();
        let key = state.packets.iter().rposition(|it| it.is_key);
        key.map_or_else(Vec::new, |key| {
            state.packets.range(key..).cloned().collect()
        })
    }

    /// Where a film that is to show what was `before` this moment can begin: the last key frame
    /// that is early enough, or the first there is.
    #[must_use]
    pub fn start_of(&self, moment: StreamTime, before: Duration) -> Option<FilmStart> {
        let state = self.lock();
        let wanted = moment.time_ns.saturating_sub(nanos(before));
        let keys = || {
            let packets = state.packets.iter();
            packets.filter(|it| it.is_key && it.connection == moment.connection)
        };
        let early = keys().rfind(|it| it.time_ns <= wanted);
        let first = early.or_else(|| keys().find(|it| it.time_ns <= moment.time_ns))?;
        let is_missed = |lost: StreamTime| {
            lost.connection == moment.connection && lost.time_ns.saturating_add(1) >= wanted
        };
        Some(FilmStart {
            packet: first.number,
            time_ns: first.time_ns.min(first.decode_ns),
            is_cut: early.is_none() && state.squeezed_out.is_some_and(is_missed),
        })
    }

    /// The packets from number `from` on.
    #[must_use]
    pub fn since(&self, from: u64) -> NewPackets {
        let state = self.lock();
        let oldest = state.packets.front().map_or(from, |it| it.number);
        let skipped = usize::try_from(from.saturating_sub(oldest)).unwrap_or(usize::MAX);
        NewPackets {
            packets: state.packets.iter().skip(skipped).cloned().collect(),
            has_gap: oldest > from,
        }
    }

    /// The oldest moment that is kept of the connection under way.
    #[must_use]
    pub fn oldest(&self) -> Option<StreamTime> {
        let state = self.lock();
        state.packets.front().map(|packet| StreamTime {
            connection: packet.connection,
            time_ns: packet.time_ns,
        })
    }

    /// Bytes that are kept now.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.lock().bytes
    }
}

impl State {
    fn drop_front(&mut self) -> Option<Packet> {
        let packet = self.packets.pop_front()?;
        self.bytes = self.bytes.saturating_sub(packet.data.len() as u64);
        Some(packet)
    }

    fn forget_all_but(&mut self, connection: u32) {
        while self
            .packets
            .front()
            .is_some_and(|it| it.connection != connection)
        {
            self.drop_front();
        }
    }

    /// Forgets whole groups that end before `time_ns`.
    fn forget_before(&mut self, time_ns: u64) {
        loop {
            let next_key = self.packets.iter().skip(1).position(|it| it.is_key);
            let Some(place) = next_key.map(|place| place + 1) else {
                return;
            };
            if self.packets[place].time_ns > time_ns {
                return;
            }
            for _ in 0..place {
                self.drop_front();
            }
        }
    }

    /// Forgets the oldest group, or where there is but one its oldest packets, until no more than
    /// `max_bytes` are kept.
    fn squeeze(&mut self, max_bytes: u64) {
        while self.bytes > max_bytes {
            let Some(lost) = self.drop_front() else {
                return;
            };
            self.squeezed_out = Some(StreamTime {
                connection: lost.connection,
                time_ns: lost.time_ns,
            });
            // What needs the one that went is of no use.
            let has_key = self.packets.iter().any(|it| it.is_key);
            while has_key && self.packets.front().is_some_and(|it| !it.is_key) {
                if let Some(lost) = self.drop_front() {
                    self.squeezed_out = Some(StreamTime {
                        connection: lost.connection,
                        time_ns: lost.time_ns,
                    });
                }
            }
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn packet(time_ns: u64, is_key: bool) -> Packet {
        Packet {
            number: 0,
            connection: 1,
            time_ns,
            decode_ns: time_ns,
            is_key,
            format: "video/x-h264".into(),
            data: vec![0; 100].into(),
        }
    }

    /// So many seconds of ten pictures of 100 bytes, one in ten a key frame.
    fn filled(keep_secs: u64, max_bytes: u64, secs: u64) -> PacketRing {
        let ring = PacketRing::new(Duration::from_secs(keep_secs), max_bytes);
        for number in 0..secs * 10 {
            ring.push(packet(number * SECOND / 10, number % 10 == 0));
        }
        ring
    }

    fn at(secs: f64) -> StreamTime {
        StreamTime {
            connection: 1,
            time_ns: (secs * 1e9) as u64,
        }
    }

    #[test]
    fn a_film_begins_with_the_last_key_frame_that_is_early_enough() {
        let ring = filled(5, u64::MAX, 20);
        let start = ring.start_of(at(19.5), Duration::from_secs(3)).unwrap();
        assert_eq!((start.time_ns, start.is_cut), (16 * SECOND, false));
        assert_eq!(start.packet, 160);
        // 19.0 − 5 = 14: the group that begins there is the oldest one that is kept.
        assert_eq!(ring.oldest(), Some(at(14.0)));
    }

    #[test]
    fn the_bytes_are_bounded_and_what_they_cost_is_told() {
        let ring = filled(5, 2500, 20);
        assert!(ring.bytes() <= 2500);
        let start = ring.start_of(at(19.5), Duration::from_secs(3)).unwrap();
        assert_eq!((start.time_ns, start.is_cut), (18 * SECOND, true));
        let short = ring.start_of(at(19.5), Duration::from_secs(1)).unwrap();
        assert!(!short.is_cut);
    }

    #[test]
    fn a_group_larger_than_the_bound_leaves_no_place_to_begin() {
        let ring = PacketRing::new(Duration::from_secs(5), 1000);
        for number in 0..100 {
            ring.push(packet(number * SECOND / 10, number == 0));
            assert!(ring.bytes() <= 1000);
        }
        assert_eq!(ring.start_of(at(9.0), Duration::from_secs(3)), None);
    }

    #[test]
    fn a_camera_that_has_just_begun_gives_what_there_is() {
        let ring = filled(5, u64::MAX, 1);
        let start = ring.start_of(at(0.9), Duration::from_secs(3)).unwrap();
        assert_eq!((start.packet, start.is_cut), (0, false));
    }

    #[test]
    fn whoever_reads_in_time_misses_nothing_and_a_gap_is_told() {
        let ring = filled(5, u64::MAX, 20);
        let new = ring.since(195);
        let numbers: Vec<u64> = new.packets.iter().map(|it| it.number).collect();
        assert_eq!((numbers, new.has_gap), ((195..200).collect(), false));
        assert!(ring.since(200).packets.is_empty());
        assert!(ring.since(10).has_gap);
    }

    #[test]
    fn the_newest_group_begins_with_its_key_frame() {
        let ring = filled(5, u64::MAX, 20);
        ring.push(packet(20 * SECOND, true));
        ring.push(packet(20 * SECOND + 1, false));
        let group = ring.newest_group();
        let numbers: Vec<u64> = group.iter().map(|it| it.number).collect();
        assert_eq!((numbers, group[0].is_key), (vec![200, 201], true));
        let ring = PacketRing::new(Duration::ZERO, u64::MAX);
        ring.push(packet(0, false));
        assert!(ring.newest_group().is_empty());
    }

    #[test]
    fn a_ring_without_a_time_keeps_one_group() {
        let ring = filled(0, u64::MAX, 20);
        assert_eq!(ring.oldest(), Some(at(19.0)));
        assert_eq!(ring.newest_group().len(), 10);
    }

    #[test]
    fn pictures_out_of_order_are_noticed_until_the_next_connection() {
        let ring = PacketRing::new(Duration::from_secs(1), u64::MAX);
        let is_reordered = || ring.sent().unwrap().is_reordered;
        assert_eq!(ring.sent(), None);
        ring.push(packet(0, true));
        ring.push(packet(3, false));
        assert!(!is_reordered());
        ring.push(packet(1, false));
        ring.push(packet(4, false));
        assert!(is_reordered());
        let other = |time_ns| Packet {
            connection: 2,
            ..packet(time_ns, true)
        };
        ring.push(other(0));
        assert!(!is_reordered(), "times of two connections do not compare");
    }

    #[test]
    fn a_bell_rings_as_long_as_it_is_held() {
        use std::sync::atomic::{AtomicU32, Ordering};
        let (ring, rung) = (
            PacketRing::new(Duration::ZERO, 1000),
            Arc::new(AtomicU32::new(0)),
        );
        let counted = Arc::clone(&rung);
        let bell = Bell::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        ring.listen(&bell);
        ring.push(packet(0, true));
        ring.push(packet(1, false));
        drop(bell);
        ring.push(packet(2, false));
        assert_eq!(rung.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_new_connection_forgets_the_one_before() {
        let ring = filled(5, u64::MAX, 2);
        ring.push(Packet {
            connection: 2,
            ..packet(0, true)
        });
        assert_eq!(ring.bytes(), 100);
        assert_eq!(ring.start_of(at(1.5), Duration::ZERO), None);
    }
}
