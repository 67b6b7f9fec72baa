//! What can be chosen about a scene.

/// A kind of place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SceneKind {
    /// Two roads cross, with signals, pavements and crossings.
    Junction,
    /// Two carriageways with three lanes each.
    Motorway,
    /// Aisles between pallet racks.
    Warehouse,
    /// A square with people.
    Square,
}

impl SceneKind {
    /// All, by name.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("junction", Self::Junction),
        ("motorway", Self::Motorway),
        ("warehouse", Self::Warehouse),
        ("square", Self::Square),
    ];
}

/// The weather.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Sun and hard shadows.
    Clear,
    /// An even sky.
    Overcast,
    /// Wet ground and falling drops.
    Rain,
    /// What is far away fades.
    Fog,
}

impl Weather {
    /// All, by name.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("clear", Self::Clear),
        ("overcast", Self::Overcast),
        ("rain", Self::Rain),
        ("fog", Self::Fog),
    ];
}

/// The time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daytime {
    /// Sun up.
    Day,
    /// Little light, lamps on.
    Dusk,
    /// Lamps only.
    Night,
}

impl Daytime {
    /// All, by name.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("day", Self::Day),
        ("dusk", Self::Dusk),
        ("night", Self::Night),
    ];
}

/// What an object is, in the order of the classes written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A human being, also on a bike.
    Person,
    /// A bicycle without its rider.
    Bicycle,
    /// A motorcycle without its rider.
    Motorcycle,
    /// A car.
    Car,
    /// A delivery van or minibus.
    Van,
    /// A lorry.
    Truck,
    /// A bus or coach.
    Bus,
    /// A forklift with what it carries.
    Forklift,
}

impl Class {
    /// All, in order, with their names.
    pub const ALL: [(&'static str, Self); 8] = [
        ("person", Self::Person),
        ("bicycle", Self::Bicycle),
        ("motorcycle", Self::Motorcycle),
        ("car", Self::Car),
        ("van", Self::Van),
        ("truck", Self::Truck),
        ("bus", Self::Bus),
        ("forklift", Self::Forklift),
    ];

    /// Its number, counted from 1.
    #[must_use]
    pub fn number(self) -> u32 {
        self as u32 + 1
    }
}
