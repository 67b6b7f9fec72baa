//! The edge between cameras and detectors, item by item.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::base::{Worker, WorkerEnd};

/// Nothing is lost.
const NONE: [i32; 0] = [];

fn items(taken: Option<Vec<Taken<i32>>>) -> Vec<i32> {
    taken.unwrap().into_iter().map(|t| t.item).collect()
}

/// An inbox whose slots keep no burst any more: the newest wins at once.
fn without_spare(slots: usize) -> Inbox<i32> {
    let inbox = Inbox::new(slots);
    for slot in inbox.lock().slots.values_mut() {
        slot.spare = 0;
    }
    inbox
}

#[test]
fn newest_frame_displaces_the_waiting_one_but_never_a_notice() {
    let inbox = without_spare(1);
    assert_eq!(inbox.put_newest(0, 1), NONE);
    assert_eq!(inbox.put_newest(0, 2), [1]);
    inbox.put_notice(0, 3).unwrap();
    assert_eq!(inbox.put_newest(0, 4), NONE);
    assert_eq!(inbox.put_newest(0, 5), [4]);
    assert_eq!(items(inbox.take(1)), [2]);
    assert_eq!(items(inbox.take(1)), [3]);
    assert_eq!(items(inbox.take(1)), [5]);
}

#[test]
fn a_burst_is_kept_in_order_and_what_is_more_makes_way_for_the_newest() {
    let inbox = Inbox::new(1);
    let burst = i32::from(BURST);
    for item in 0..=burst {
        assert_eq!(inbox.put_newest(0, item), NONE);
    }
    let all: Vec<i32> = (0..=burst).collect();
    assert_eq!(inbox.put_newest(0, 100), all, "each is told to be lost");
    assert_eq!(items(inbox.take(9)), [100]);

    // Quiet again, item by item, until a burst has been earned.
    for _ in 0..burst * i32::from(CALM) {
        assert_eq!(inbox.put_newest(0, 1), NONE);
        assert_eq!(items(inbox.take(9)), [1]);
    }
    for item in 0..=burst {
        assert_eq!(inbox.put_newest(0, item), NONE);
    }
    for item in 0..=burst {
        assert_eq!(items(inbox.take(9)), [item]);
    }
}

#[test]
fn of_a_surplus_that_lasts_the_newest_wins_and_no_more_than_one_waits() {
    let inbox = Inbox::new(1);
    let mut lost = 0;
    // Two come for each that is taken.
    for round in 0..1000 {
        lost += inbox.put_newest(0, 2 * round).len();
        lost += inbox.put_newest(0, 2 * round + 1).len();
        let taken = items(inbox.take(9));
        if round > i32::from(BURST) {
            assert_eq!(taken, [2 * round + 1]);
        }
    }
    assert!(lost >= 999, "{lost}");
}

#[test]
fn slots_are_served_in_turn() {
    let inbox = Inbox::new(3);
    for round in 0..2 {
        for slot in 0..3 {
            inbox
                .put_waiting(slot, 10 * slot as i32 + round, 4)
                .unwrap();
        }
    }
    assert_eq!(items(inbox.take(2)), [0, 10]);
    assert_eq!(items(inbox.take(2)), [20, 1]);
    assert_eq!(items(inbox.take(9)), [11, 21]);
}

#[test]
fn others_are_waited_for_up_to_a_time_and_no_longer_than_until_there_is_one_of_each() {
    let long = Duration::from_secs(3600);
    let inbox = Arc::new(without_spare(3));
    inbox.put_waiting(0, 1, 4).unwrap();
    // The others have given nothing yet, so nothing is waited for.
    assert_eq!(items(inbox.take_together(8, long)), [1]);
    for slot in 0..3 {
        assert_eq!(inbox.put_newest(slot, 0), NONE);
    }
    assert_eq!(items(inbox.take(3)), [0, 0, 0]);
    inbox.put_waiting(0, 1, 4).unwrap();
    let began = Instant::now();
    let short = Duration::from_millis(30);
    assert_eq!(items(inbox.take_together(8, short)), [1]);
    assert!(began.elapsed() >= short);

    // A newer item takes the place of one that waits.
    let taker = Arc::clone(&inbox);
    let look = move || {
        assert_eq!(items(taker.take_together(8, long)), [20, 30, 11]);
        assert_eq!(items(taker.take_together(2, long)).len(), 2);
    };
    let worker = Worker::spawn("together", look, |_| {}).unwrap();
    assert_eq!(inbox.put_newest(0, 10), NONE);
    std::thread::sleep(short);
    assert_eq!(inbox.put_newest(0, 11), [10]);
    assert_eq!(inbox.put_newest(1, 20), NONE);
    assert_eq!(inbox.put_newest(2, 30), NONE);
    std::thread::sleep(short);
    assert_eq!(inbox.put_newest(0, 12), NONE);
    assert_eq!(inbox.put_newest(1, 21), NONE);
    assert_eq!(
        worker.join_until(Instant::now() + Duration::from_secs(20)),
        WorkerEnd::Finished
    );
}

#[test]
fn a_slot_whose_items_are_under_way_is_not_waited_for() {
    let inbox = Inbox::new(2).with_outstanding(1);
    inbox.put_waiting(0, 1, 4).unwrap();
    assert_eq!(items(inbox.take(1)), [1]);
    inbox.put_waiting(1, 2, 4).unwrap();
    let long = Duration::from_secs(3600);
    assert_eq!(items(inbox.take_together(8, long)), [2]);
    inbox.done(0);
    inbox.put_waiting(0, 3, 4).unwrap();
    inbox.close();
    assert_eq!(
        items(inbox.take_together(8, long)),
        [3],
        "nothing comes any more"
    );
}

#[test]
fn closing_refuses_new_items_and_lets_the_waiting_ones_out() {
    let inbox = Inbox::new(1);
    assert_eq!(inbox.put_newest(0, 1), NONE);
    inbox.close();
    assert_eq!(inbox.put_newest(0, 2), [2]);
    assert_eq!(inbox.put_waiting(0, 3, 1), Err(3));
    assert_eq!(items(inbox.take(1)), [1]);
    assert_eq!(inbox.take(1), None);
}

#[test]
fn abort_wakes_a_waiting_source() {
    let inbox = Arc::new(Inbox::new(1));
    inbox.put_waiting(0, 1, 1).unwrap();
    let waiting = Arc::clone(&inbox);
    let worker = Worker::spawn(
        "waits",
        move || assert_eq!(waiting.put_waiting(0, 2, 1), Err(2)),
        |_| {},
    )
    .unwrap();
    inbox.abort(0);
    let end = worker.join_until(Instant::now() + Duration::from_secs(10));
    assert_eq!(end, WorkerEnd::Finished);
    assert_eq!(items(inbox.take(1)), [1]);
}

#[test]
fn a_slot_with_too_much_outstanding_is_passed_over_until_something_is_done() {
    let inbox = Inbox::new(2).with_outstanding(2);
    for item in 0..4 {
        inbox.put_waiting(0, item, 4).unwrap();
    }
    inbox.put_waiting(1, 10, 4).unwrap();
    assert_eq!(items(inbox.take(1)), [0]);
    assert_eq!(items(inbox.take(1)), [10]);
    assert_eq!(items(inbox.take(1)), [1]);
    inbox.put_waiting(1, 11, 4).unwrap();
    assert_eq!(items(inbox.take(9)), [11]);
    inbox.done(0);
    assert_eq!(items(inbox.take(9)), [2]);
    inbox.close();
    inbox.done(0);
    assert_eq!(items(inbox.take(9)), [3]);
    assert_eq!(inbox.take(9), None);
}

#[test]
fn a_slot_comes_and_goes_while_the_others_go_on() {
    let inbox = Inbox::new(1).with_outstanding(2);
    let added = inbox.add_slot(1);
    assert_eq!(added, 1);
    assert_eq!(inbox.put_newest(added, 10), NONE);
    assert_eq!(inbox.put_newest(0, 1), NONE);
    assert!(!inbox.is_idle(added));
    assert_eq!(items(inbox.take(9)), [1, 10]);
    assert!(!inbox.is_idle(added), "taken and not done");
    inbox.done(added);
    assert!(inbox.is_idle(added));
    assert!(inbox.remove_slot(added).is_empty());
    assert_eq!(inbox.put_newest(added, 11), [11]);
    assert_eq!(inbox.put_notice(added, 12), Err(12));
    assert_eq!(inbox.add_slot(1), 2, "no number is given twice");
    assert_eq!(inbox.put_newest(0, 2), NONE);
    assert_eq!(items(inbox.take(9)), [2]);
}

#[test]
fn tickets_count_per_slot() {
    let inbox = Inbox::new(2);
    inbox.put_waiting(1, 7, 2).unwrap();
    inbox.put_waiting(1, 8, 2).unwrap();
    assert_eq!(inbox.take(1).unwrap()[0].ticket, 0);
    assert_eq!(inbox.take(1).unwrap()[0].ticket, 1);
}

/// Even numbers are looked at, odd ones passed.
struct Parity;

impl Route<i32> for Parity {
    fn lane(&mut self, _slot: usize, item: &i32) -> Lane {
        if item % 2 == 0 {
            Lane::Look
        } else {
            Lane::Pass
        }
    }

    fn taken(&mut self, _slot: usize, item: &i32, lane: Lane) {
        assert_eq!(item % 2 == 0, lane == Lane::Look);
    }
}

#[test]
fn each_kind_of_taker_gets_its_items_and_both_see_the_end() {
    let inbox = Arc::new(Inbox::new(2).routed(Box::new(Parity)));
    for item in [1, 2, 3] {
        inbox.put_waiting(0, item, 4).unwrap();
    }
    inbox.put_waiting(1, 4, 4).unwrap();
    // 2 stands behind 1 until that is taken.
    assert_eq!(items(inbox.take(9)), [4]);
    assert_eq!(items(inbox.take_passed(9)), [1]);
    let waiting = Arc::clone(&inbox);
    let worker = Worker::spawn(
        "waits",
        move || {
            assert_eq!(items(waiting.take_passed(9)), [3]);
            assert_eq!(waiting.take_passed(9), None);
        },
        |_| {},
    )
    .unwrap();
    assert_eq!(items(inbox.take(9)), [2]);
    inbox.close();
    assert_eq!(inbox.take(9), None);
    let end = worker.join_until(Instant::now() + Duration::from_secs(10));
    assert_eq!(end, WorkerEnd::Finished);
}

#[test]
fn a_newer_item_is_asked_about_anew() {
    let inbox = without_spare(1).routed(Box::new(Parity)).one_at_a_time(0);
    assert_eq!(inbox.put_newest(0, 1), NONE);
    assert_eq!(items(inbox.take_passed(1)), [1]);
    inbox.done(0);
    assert_eq!(inbox.put_newest(0, 3), NONE);
    // Asked about by a taker whom it is not for, and displaced.
    assert!(inbox.lock().take_in_turn(1, Lane::Look).is_empty());
    assert_eq!(inbox.put_newest(0, 4), [3]);
    assert_eq!(items(inbox.take(1)), [4]);
}
