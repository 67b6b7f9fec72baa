//! Cars and vans: a body lofted over stations from nose to tail.

use super::Vehicle;
use super::wheels::{Common, axle, plate};
use crate::tools::simulate::material::{Finish, Material, car_paint, pick, rgb};
use crate::tools::simulate::mesh::{Mesh, V3, v};

/// Proportions of a body style; places along are shares of the length from the middle, forward positive.
struct Style {
    length: (f32, f32),
    width: (f32, f32),
    height: (f32, f32),
    cowl: f32,
    screen_top: f32,
    roof_end: f32,
    rear_base: f32,
    /// Height of hood and of what is behind the rear window, share of the height.
    hood: f32,
    deck: f32,
    /// Width of the roof, share of the width.
    roof: f32,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Pickup,
    PanelVan,
    WindowVan,
}

const fn style(
    length: (f32, f32),
    width: (f32, f32),
    height: (f32, f32),
    along: [f32; 4],
    up: [f32; 3],
    kind: Kind,
) -> Style {
    let [cowl, screen_top, roof_end, rear_base] = along;
    let [hood, deck, roof] = up;
    Style {
        length,
        width,
        height,
        cowl,
        screen_top,
        roof_end,
        rear_base,
        hood,
        deck,
        roof,
        kind,
    }
}

/// Saloon, hatchback, SUV, estate, city car, people carrier, coupé, pickup.
const CARS: [Style; 8] = [
    style(
        (4.4, 4.9),
        (1.76, 1.86),
        (1.40, 1.48),
        [0.23, 0.07, -0.20, -0.35],
        [0.63, 0.67, 0.70],
        Kind::Plain,
    ),
    style(
        (3.8, 4.3),
        (1.70, 1.80),
        (1.44, 1.54),
        [0.27, 0.10, -0.36, -0.47],
        [0.62, 0.62, 0.72],
        Kind::Plain,
    ),
    style(
        (4.3, 4.9),
        (1.82, 1.96),
        (1.64, 1.82),
        [0.25, 0.12, -0.40, -0.48],
        [0.60, 0.62, 0.74],
        Kind::Plain,
    ),
    style(
        (4.5, 4.9),
        (1.78, 1.86),
        (1.44, 1.52),
        [0.25, 0.09, -0.39, -0.475],
        [0.61, 0.63, 0.71],
        Kind::Plain,
    ),
    style(
        (3.3, 3.7),
        (1.60, 1.68),
        (1.46, 1.56),
        [0.30, 0.14, -0.40, -0.48],
        [0.62, 0.60, 0.74],
        Kind::Plain,
    ),
    style(
        (4.5, 5.0),
        (1.80, 1.94),
        (1.70, 1.86),
        [0.32, 0.17, -0.42, -0.485],
        [0.58, 0.56, 0.78],
        Kind::Plain,
    ),
    style(
        (4.2, 4.7),
        (1.80, 1.90),
        (1.28, 1.38),
        [0.20, 0.03, -0.16, -0.40],
        [0.64, 0.72, 0.64],
        Kind::Plain,
    ),
    style(
        (5.1, 5.6),
        (1.84, 2.00),
        (1.74, 1.88),
        [0.24, 0.13, -0.07, -0.11],
        [0.60, 0.56, 0.76],
        Kind::Pickup,
    ),
];

/// Panel van, high-roofed van, minibus.
const VANS: [Style; 3] = [
    style(
        (4.7, 5.4),
        (1.90, 2.02),
        (1.90, 2.10),
        [0.37, 0.22, -0.475, -0.49],
        [0.56, 0.45, 0.86],
        Kind::PanelVan,
    ),
    style(
        (5.4, 6.6),
        (1.98, 2.06),
        (2.45, 2.75),
        [0.39, 0.27, -0.485, -0.492],
        [0.46, 0.40, 0.90],
        Kind::PanelVan,
    ),
    style(
        (5.0, 6.0),
        (1.92, 2.04),
        (2.00, 2.50),
        [0.38, 0.24, -0.475, -0.49],
        [0.54, 0.45, 0.86],
        Kind::WindowVan,
    ),
];

/// A car of any style.
pub(in crate::tools::simulate) fn car(rng: &mut fastrand::Rng) -> Vehicle {
    const SHARES: [usize; 16] = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 4, 5, 6, 7];
    let paint = car_paint(rng);
    build(&CARS[SHARES[rng.usize(..16)]], paint, rng)
}

/// A van; most are white.
pub(in crate::tools::simulate) fn van(rng: &mut fastrand::Rng) -> Vehicle {
    let paint = if rng.f32() < 0.55 {
        pick(rng, &[0xecedec, 0xf4f4f2, 0xdcdedd])
    } else {
        car_paint(rng)
    };
    let which = rng.usize(..VANS.len());
    build(&VANS[which], paint, rng)
}

/// A cut across the body.
#[derive(Clone, Copy)]
struct Station {
    x: f32,
    bottom: f32,
    belt: f32,
    top: f32,
    half: f32,
    half_top: f32,
    /// How far the sides lie behind the middle.
    bow: f32,
    part: Part,
}

/// What the skin from this station to the next shows.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Body,
    Side,
    Screen,
}

fn ring(s: &Station) -> Vec<V3> {
    let side = |sign: f32| {
        let point = move |y: f32, z: f32| {
            let share = y / s.half;
            v(s.x - s.bow * share * share, y * sign, z)
        };
        [
            point(s.half * 0.86, s.bottom),
            point(s.half, s.bottom + 0.13),
            point(s.half * 1.0, s.bottom + (s.belt - s.bottom) * 0.62),
            point(s.half * 0.965, s.belt),
            point(s.half_top, s.top - 0.06),
            point(s.half_top * 0.84, s.top - 0.005),
        ]
    };
    let mut ring: Vec<V3> = side(1.0).into();
    ring.push(v(s.x, 0.0, s.top + 0.02));
    ring.extend(side(-1.0).into_iter().rev());
    ring
}

fn between(range: (f32, f32), rng: &mut fastrand::Rng) -> f32 {
    range.0 + (range.1 - range.0) * rng.f32()
}

fn stations(style: &Style, [length, width, height]: [f32; 3], clearance: f32) -> Vec<Station> {
    let half = width / 2.0;
    let (hood, deck) = (height * style.hood, height * style.deck);
    let at = |x: f32, part: Part| Station {
        x: x * length,
        bottom: clearance,
        belt: hood - 0.03,
        top: height,
        half,
        half_top: half * style.roof,
        bow: 0.0,
        part,
    };
    let low = |x: f32, top: f32, part: Part| Station {
        belt: top - 0.07,
        top,
        half_top: half * 0.88,
        ..at(x, part)
    };
    let end = |x: f32, top: f32, bow: f32| Station {
        bottom: clearance + 0.06,
        half: half * 0.92,
        half_top: half * 0.78,
        bow,
        ..low(x, top, Part::Body)
    };
    let cabin = style.screen_top - style.roof_end;
    let pillar = 0.07 / length;
    let first = style.screen_top - cabin * if style.kind == Kind::Plain { 0.45 } else { 0.0 };
    let mut all = vec![
        end(0.5, hood * 0.78, 0.16),
        low(0.455, hood * 0.88, Part::Body),
        Station {
            half_top: half * 0.84,
            ..low(style.cowl, hood, Part::Screen)
        },
        at(style.screen_top, Part::Side),
    ];
    match style.kind {
        Kind::Pickup => {}
        Kind::Plain => {
            all.push(at(first, Part::Body));
            all.push(at(first - pillar, Part::Side));
        }
        Kind::PanelVan => all.push(at(style.screen_top - 1.0 / length, Part::Body)),
        Kind::WindowVan => {
            let panes = 4.0;
            for i in 1..4 {
                let x = style.screen_top - cabin * i as f32 / panes;
                all.push(at(x, Part::Body));
                all.push(at(x - pillar, Part::Side));
            }
        }
    }
    let rear = if style.kind == Kind::PanelVan {
        Part::Body
    } else {
        Part::Screen
    };
    all.push(at(style.roof_end, rear));
    all.push(low(style.rear_base, deck.max(hood * 0.95), Part::Body));
    all.push(low(-0.475, deck * 0.99, Part::Body));
    all.push(end(-0.5, deck * 0.95, 0.1));
    all.sort_by(|a, b| b.x.total_cmp(&a.x));
    all
}

fn build(style: &Style, paint: V3, rng: &mut fastrand::Rng) -> Vehicle {
    let size = [
        between(style.length, rng),
        between(style.width, rng),
        between(style.height, rng),
    ];
    let [length, width, height] = size;
    let mut mesh = Mesh::default();
    let body = mesh.material(Material::new(Finish::Paint, paint));
    let common = Common::add(&mut mesh, rng);
    let trim = if rng.bool() { body } else { common.dark };
    let clearance = 0.17 + 0.05 * (height - 1.4).max(0.0);
    let stations = stations(style, size, clearance);
    let rings: Vec<Vec<V3>> = stations.iter().map(ring).collect();
    for end in [rings.first(), rings.last()].into_iter().flatten() {
        fascia(&mut mesh, end, body, trim);
    }
    let dark_roof = rng.f32() < 0.12;
    mesh.loft(&rings, true, 0.55, |i, j| {
        let part = stations[i].part;
        let glass = match part {
            Part::Body => false,
            Part::Side => j == 3 || j == 8,
            Part::Screen => (3..=8).contains(&j),
        };
        Some(match j {
            _ if glass => common.glass,
            12 => common.dark,
            0 | 11 => trim,
            4..=7 if dark_roof && part != Part::Body => common.dark,
            _ => body,
        })
    });
    details(&mut mesh, &common, style, size, body);
    let radius = (height * 0.215).clamp(0.29, 0.38);
    for x in [0.31, -0.30] {
        axle(
            &mut mesh,
            &common,
            x * length,
            width / 2.0 * 0.995,
            radius,
            true,
        );
    }
    extras(&mut mesh, &common, style, size, rng);
    Vehicle {
        mesh,
        length,
        width,
        height,
    }
}

/// Closes the body at its nose or tail, bulging as far as the ring is bowed.
fn fascia(mesh: &mut Mesh, ring: &[V3], body: u16, trim: u16) {
    // Left half from the sill up to the middle of the top.
    let half = &ring[..7];
    let row = |p: &V3| -> Vec<V3> {
        let middle = half[6].x;
        [1.0, 0.5, 0.0, -0.5, -1.0]
            .iter()
            .map(|share: &f32| v(middle + (p.x - middle) * share * share, p.y * share, p.z))
            .collect()
    };
    let rows: Vec<Vec<V3>> = half.iter().map(row).collect();
    mesh.loft(&rows, false, 0.6, |i, _| {
        Some(if i == 0 { trim } else { body })
    });
}

fn details(mesh: &mut Mesh, common: &Common, style: &Style, size: [f32; 3], body: u16) {
    let [length, width, height] = size;
    let (front, back, half) = (length / 2.0, -length / 2.0, width / 2.0);
    let (hood, deck) = (height * style.hood, height * style.deck);
    for side in [-1.0, 1.0] {
        let span = |a: f32, b: f32| (a * half * side, b * half * side);
        let lamp = |mesh: &mut Mesh, x: (f32, f32), y: (f32, f32), z: (f32, f32), m: u16| {
            mesh.cuboid(
                v(x.0.min(x.1), y.0.min(y.1), z.0),
                v(x.0.max(x.1), y.0.max(y.1), z.1),
                m,
            );
        };
        lamp(
            mesh,
            (front - 0.38, front - 0.055),
            span(0.55, 0.93),
            (hood * 0.60, hood * 0.75),
            common.head,
        );
        let high = if style.kind == Kind::Plain {
            deck
        } else {
            height * 0.62
        };
        lamp(
            mesh,
            (back - 0.005, back + 0.22),
            span(0.60, 0.945),
            (high * 0.68, high * 0.88),
            common.tail,
        );
        // Mirror, door handle.
        let door = style.screen_top.min(style.cowl - 0.04) * length + 0.12;
        lamp(
            mesh,
            (door - 0.09, door + 0.09),
            span(0.97, 1.13),
            (hood + 0.0, hood + 0.14),
            body,
        );
        lamp(
            mesh,
            (-0.14 * length, -0.09 * length),
            span(0.97, 1.005),
            (hood * 0.86, hood * 0.89),
            common.dark,
        );
    }
    plate(
        mesh,
        front + 0.022,
        (-0.5 * half, 0.5 * half),
        (hood * 0.52, hood * 0.70),
        common.dark,
    );
    plate(
        mesh,
        front + 0.024,
        (-0.62 * half, 0.62 * half),
        (hood * 0.30, hood * 0.42),
        common.dark,
    );
    plate(
        mesh,
        front + 0.034,
        (-0.26, 0.26),
        (hood * 0.40, hood * 0.40 + 0.11),
        common.plate,
    );
    plate(
        mesh,
        front + 0.036,
        (-0.10, 0.10),
        (hood * 0.60, hood * 0.64),
        common.chrome,
    );
    plate(
        mesh,
        back - 0.034,
        (-0.26, 0.26),
        (deck * 0.55, deck * 0.55 + 0.11),
        common.plate,
    );
    plate(
        mesh,
        back - 0.026,
        (-0.75 * half, 0.75 * half),
        (0.26, 0.40),
        common.dark,
    );
}

fn extras(
    mesh: &mut Mesh,
    common: &Common,
    style: &Style,
    size: [f32; 3],
    rng: &mut fastrand::Rng,
) {
    let [length, width, height] = size;
    let half = width / 2.0;
    if style.kind == Kind::Pickup {
        let z = height * style.deck + 0.03;
        let (x0, x1) = (-0.47 * length, (style.rear_base - 0.02) * length);
        let y = half * 0.8;
        mesh.quad(
            [v(x0, -y, z), v(x1, -y, z), v(x1, y, z), v(x0, y, z)],
            common.dark,
        );
        if rng.f32() < 0.4 {
            let load = mesh.material(Material::new(Finish::Rough(0.3), rgb(0x8a7a60)));
            mesh.cuboid(
                v(x0 + 0.2, -y * 0.8, z),
                v(x1 - 0.3, y * 0.8, z + 0.3),
                load,
            );
        }
    } else if rng.f32() < 0.15 {
        for side in [-1.0, 1.0] {
            let y = half * style.roof * 0.8 * side;
            mesh.cuboid(
                v(style.roof_end * length, y - 0.03, height),
                v(style.screen_top * length, y + 0.03, height + 0.07),
                common.chrome,
            );
        }
    } else if rng.f32() < 0.06 {
        let sign = mesh.material(Material::new(Finish::Glow, rgb(0xf2d24a)));
        mesh.cuboid(v(-0.25, -0.3, height), v(0.0, 0.3, height + 0.16), sign);
    }
    if style.kind == Kind::PanelVan && rng.f32() < 0.5 {
        let colour = car_paint(rng);
        let writing = mesh.material(Material::with_second(Finish::Sign, colour, rgb(0xf0f0f0)));
        for y in [-half * 1.004, half * 1.004] {
            let (x0, x1) = (-0.40 * length, 0.05 * length);
            let (z0, z1) = (height * 0.30, height * 0.44);
            mesh.quad(
                [v(x0, y, z0), v(x1, y, z0), v(x1, y, z1), v(x0, y, z1)],
                writing,
            );
        }
    }
}
