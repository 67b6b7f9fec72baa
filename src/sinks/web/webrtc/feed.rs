//! Which of the pictures that a camera sends go to a viewer, and when each is shown; pure.

use crate::base::{Packet, PacketRing, StreamTime, VideoGap};

/// Ticks of an RTP clock for video per second (RFC 6184).
const RTP_RATE: u128 = 90_000;

/// Least time between two pictures, ns: one tick of the RTP clock, rounded up.
const TICK_NS: u64 = 11_112;

/// What a viewer gets next.
#[derive(Debug, Default)]
pub(super) struct Next {
    /// Each with the moment at which it is shown, ns since the viewer came; rising.
    pub packets: Vec<(Packet, u64)>,
    /// What is missing before them, and how many pictures of it.
    pub gap: Option<(VideoGap, u64)>,
}

/// Follows a camera for one viewer.
#[derive(Debug)]
pub(super) struct Feed {
    /// Number of the next packet; `None`: begin with the newest key frame.
    next: Option<u64>,
    /// The connection that `shift_ns` is about.
    connection: Option<u32>,
    /// What is added to a time of the connection, ns.
    shift_ns: i128,
    last_ns: Option<u64>,
    /// Only a key frame can be shown next.
    waits_for_key: bool,
    /// RTP time of 0 ns.
    rtp_offset: u32,
}

impl Feed {
    pub fn new(rtp_offset: u32) -> Self {
        Self {
            next: None,
            connection: None,
            shift_ns: 0,
            last_ns: None,
            waits_for_key: true,
            rtp_offset,
        }
    }

    /// The newest key frame alone, which says what the stream is; `now_ns` is since the viewer came.
    pub fn first(&mut self, ring: &PacketRing, now_ns: u64) -> Option<(Packet, u64)> {
        let key = ring.newest_group().into_iter().next()?;
        self.timed(vec![key], now_ns).pop()
    }

    /// Everything from the newest key frame on that has not gone yet.
    pub fn catch_up(&mut self, ring: &PacketRing, now_ns: u64) -> Next {
        let mut group = ring.newest_group();
        group.retain(|packet| self.next.is_none_or(|next| packet.number >= next));
        Next {
            packets: self.timed(group, now_ns),
            gap: None,
        }
    }

    /// Everything that came since.
    pub fn take(&mut self, ring: &PacketRing, now_ns: u64) -> Next {
        let Some(next) = self.next else {
            return self.catch_up(ring, now_ns);
        };
        let new = ring.since(next);
        let Some(first) = new.packets.first() else {
            return Next::default();
        };
        let (missed, connection) = (first.number.saturating_sub(next), first.connection);
        let gap = if self.connection != Some(connection) {
            Some((VideoGap::Connection, missed))
        } else {
            new.has_gap.then_some((VideoGap::Late, missed))
        };
        if gap.is_some() {
            self.waits_for_key = true;
        }
        Next {
            packets: self.timed(new.packets, now_ns),
            gap,
        }
    }

    /// The newest group once more: the viewer lost something of it.
    pub fn again(&mut self, ring: &PacketRing, now_ns: u64) -> Next {
        self.next = None;
        Next {
            gap: Some((VideoGap::Asked, 0)),
            ..self.catch_up(ring, now_ns)
        }
    }

    /// What waits is not handed on; goes on with a key frame.
    pub fn skip(&mut self, ring: &PacketRing) -> Next {
        let new = self.next.map(|next| ring.since(next)).unwrap_or_default();
        let count = new.packets.len() as u64;
        if let Some(last) = new.packets.last() {
            self.next = Some(last.number + 1);
            self.waits_for_key = true;
        }
        Next {
            packets: Vec::new(),
            gap: (count > 0).then_some((VideoGap::Late, count)),
        }
    }

    /// From now on another ring is followed, whose numbers and times have nothing to do with those of
    /// before.
    pub fn begin_anew(&mut self) {
        self.next = None;
        self.connection = None;
        self.waits_for_key = true;
    }

    /// The RTP time that this viewer's picture of a moment has.
    pub fn rtp_of(&self, moment: StreamTime) -> Option<u32> {
        if self.connection != Some(moment.connection) {
            return None;
        }
        let shown = u64::try_from(i128::from(moment.time_ns) + self.shift_ns).ok()?;
        let ticks = u128::from(shown) * RTP_RATE / 1_000_000_000;
        // The clock of RTP begins anew every thirteen hours.
        let ticks = u32::try_from(ticks % (1 << 32)).unwrap_or(0);
        Some(self.rtp_offset.wrapping_add(ticks))
    }

    fn timed(&mut self, packets: Vec<Packet>, now_ns: u64) -> Vec<(Packet, u64)> {
        let mut timed = Vec::with_capacity(packets.len());
        for packet in packets {
            self.next = Some(packet.number + 1);
            if self.waits_for_key && !packet.is_key {
                continue;
            }
            self.waits_for_key = false;
            let earliest = self.last_ns.map_or(0, |last| last.saturating_add(TICK_NS));
            if self.connection != Some(packet.connection) {
                self.connection = Some(packet.connection);
                let begin = i128::from(now_ns.max(earliest));
                self.shift_ns = begin - i128::from(packet.time_ns);
            }
            let shown = i128::from(packet.time_ns) + self.shift_ns;
            let shown = u64::try_from(shown).unwrap_or(0).max(earliest);
            self.last_ns = Some(shown);
            timed.push((packet, shown));
        }
        timed
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn packet(connection: u32, time_ns: u64, is_key: bool) -> Packet {
        Packet {
            number: 0,
            connection,
            time_ns,
            decode_ns: time_ns,
            is_key,
            format: "video/x-h264".into(),
            data: vec![0; 10].into(),
        }
    }

    fn ring(max_bytes: u64) -> PacketRing {
        PacketRing::new(Duration::ZERO, max_bytes)
    }

    fn times(next: &Next) -> Vec<u64> {
        next.packets.iter().map(|(_, shown)| *shown).collect()
    }

    #[test]
    fn a_viewer_begins_with_the_newest_key_frame_and_gets_the_rest_once() {
        let (ring, mut feed) = (ring(1000), Feed::new(7));
        for (second, is_key) in [(10, true), (11, false), (12, true), (13, false)] {
            ring.push(packet(1, second * SECOND, is_key));
        }
        let (key, shown) = feed.first(&ring, SECOND).unwrap();
        assert_eq!((key.number, shown), (2, SECOND));
        ring.push(packet(1, 14 * SECOND, false));
        let rest = feed.catch_up(&ring, 5 * SECOND);
        assert_eq!(times(&rest), [2 * SECOND, 3 * SECOND]);
        assert!(feed.take(&ring, 6 * SECOND).packets.is_empty());
        ring.push(packet(1, 15 * SECOND, false));
        assert_eq!(times(&feed.take(&ring, 7 * SECOND)), [4 * SECOND]);
        let moment = |connection| StreamTime {
            connection,
            time_ns: 15 * SECOND,
        };
        assert_eq!(feed.rtp_of(moment(1)), Some(7 + 4 * 90_000));
        assert_eq!(feed.rtp_of(moment(2)), None);
    }

    #[test]
    fn another_connection_goes_on_at_its_key_frame_and_now() {
        let (ring, mut feed) = (ring(1000), Feed::new(0));
        ring.push(packet(1, 50 * SECOND, true));
        feed.take(&ring, 0);
        ring.push(packet(2, 0, false));
        let next = feed.take(&ring, 9 * SECOND);
        assert!(next.packets.is_empty(), "it cannot be decoded");
        assert_eq!(next.gap, Some((VideoGap::Connection, 0)));
        ring.push(packet(2, SECOND, true));
        ring.push(packet(2, 2 * SECOND, false));
        let next = feed.take(&ring, 10 * SECOND);
        assert_eq!(times(&next), [10 * SECOND, 11 * SECOND]);
    }

    #[test]
    fn a_gap_is_counted_and_ends_with_a_key_frame() {
        let (ring, mut feed) = (ring(30), Feed::new(0));
        ring.push(packet(1, 0, true));
        feed.take(&ring, 0);
        for second in 1..=6 {
            ring.push(packet(1, second * SECOND, second == 5));
        }
        let next = feed.take(&ring, 0);
        assert_eq!(times(&next), [5 * SECOND, 6 * SECOND]);
        assert_eq!(next.gap, Some((VideoGap::Late, 4)));
        ring.push(packet(1, 7 * SECOND, false));
        assert_eq!(feed.skip(&ring).gap, Some((VideoGap::Late, 1)));
        ring.push(packet(1, 8 * SECOND, false));
        assert!(feed.take(&ring, 0).packets.is_empty());
    }

    #[test]
    fn times_rise_also_where_a_group_goes_again() {
        let (ring, mut feed) = (ring(1000), Feed::new(0));
        ring.push(packet(1, 0, true));
        ring.push(packet(1, SECOND, false));
        feed.take(&ring, 0);
        let again = feed.again(&ring, SECOND);
        assert_eq!(times(&again), [SECOND + TICK_NS, SECOND + 2 * TICK_NS]);
        ring.push(packet(1, 2 * SECOND, false));
        assert_eq!(times(&feed.take(&ring, 0)), [2 * SECOND]);
    }
}
