//! What must hold in every place at every moment.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const SCENES: [SceneKind; 4] = [
    SceneKind::Junction,
    SceneKind::Motorway,
    SceneKind::Warehouse,
    SceneKind::Square,
];

/// Deepest overlap of two vehicles, of a vehicle and a walker, of two walkers, metres.
fn overlaps(world: &World) -> [f32; 3] {
    let discs = world.discs();
    let mut deepest = [0.0_f32; 3];
    for (i, a) in discs.iter().enumerate() {
        for b in &discs[i + 1..] {
            if a.owner == b.owner {
                continue;
            }
            let walkers = [a, b]
                .iter()
                .filter(|disc| disc.owner >= world.drivers.len())
                .count();
            // A walker's body is narrower than the room kept around it.
            let slack = 0.1 * walkers as f32;
            let depth = a.radius + b.radius - slack - (a.at - b.at).norm();
            deepest[walkers] = deepest[walkers].max(depth);
        }
    }
    deepest
}

/// Least room between a vehicle and what stands in the place, metres.
fn least_room(world: &World) -> f32 {
    let discs = world.discs();
    let vehicles = discs.iter().filter(|disc| disc.owner < world.drivers.len());
    let rooms = vehicles.flat_map(|disc| {
        let room = |(at, radius): &(V3, f32)| (disc.at - at).norm() - disc.radius - radius;
        world.obstacles.iter().map(room)
    });
    rooms.fold(f32::MAX, f32::min)
}

#[test]
fn nobody_passes_through_anybody_or_anything() {
    for kind in SCENES {
        let mut world = World::new(kind, 0.7, false, 2);
        for step in 0..120 {
            world.advance(STEP_SECS);
            let at = format!("{kind:?} step {step}");
            let places = world.busy_places();
            assert!(
                places.iter().flatten().all(|at| at.norm().is_finite()),
                "{at}"
            );
            let [vehicles, mixed, walkers] = overlaps(&world);
            assert!(vehicles < 0.15, "{at}: vehicles overlap by {vehicles}");
            assert!(
                mixed < 0.15,
                "{at}: a vehicle and a walker overlap by {mixed}"
            );
            assert!(walkers < 0.15, "{at}: walkers overlap by {walkers}");
            let room = least_room(&world);
            assert!(room > -0.1, "{at}: a vehicle stands {room} m in something");
        }
    }
}

#[test]
fn traffic_flows_and_nobody_is_stuck_for_ever() {
    for kind in [
        SceneKind::Junction,
        SceneKind::Motorway,
        SceneKind::Warehouse,
    ] {
        let mut world = World::new(kind, 0.4, false, 5);
        let mut went: BTreeMap<u64, f32> = BTreeMap::new();
        let before: BTreeMap<u64, f32> = world.drivers.iter().map(|d| (d.id, d.s)).collect();
        // Longer than all signals together take.
        let steps = if kind == SceneKind::Junction {
            900
        } else {
            200
        };
        for _ in 0..steps {
            world.advance(STEP_SECS);
            for driver in &world.drivers {
                went.insert(driver.id, driver.s);
            }
        }
        let moved = before
            .iter()
            .filter(|(id, s)| went.get(id).is_some_and(|now| now - *s > 10.0))
            .count();
        assert!(
            moved * 10 >= before.len() * 8,
            "{kind:?}: {moved} of {} moved",
            before.len()
        );
    }
}

#[test]
fn an_id_that_is_gone_never_comes_back() {
    for kind in SCENES {
        let mut world = World::new(kind, 0.5, false, 3);
        let (mut gone, mut present) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..120 {
            world.advance(STEP_SECS);
            let riders = world
                .drivers
                .iter()
                .filter_map(|driver| Some(driver.rider.as_ref()?.0));
            let vehicles = world.drivers.iter().map(|driver| driver.id);
            let walkers = world.walkers.iter().map(|walker| walker.id);
            let parked = world.parked.iter().map(|(id, ..)| *id);
            let all: Vec<u64> = riders
                .chain(vehicles)
                .chain(walkers)
                .chain(parked)
                .collect();
            let now: BTreeSet<u64> = all.iter().copied().collect();
            assert_eq!(now.len(), all.len(), "{kind:?}: an id twice at a time");
            assert!(now.is_disjoint(&gone), "{kind:?}: an id came back");
            gone.extend(present.difference(&now).copied());
            present = now;
        }
    }
}

#[test]
fn an_empty_place_stays_empty_of_traffic() {
    let mut world = World::new(SceneKind::Motorway, 0.0, false, 1);
    world.advance(10.0);
    assert!(world.drivers.is_empty() && world.walkers.is_empty());
}
