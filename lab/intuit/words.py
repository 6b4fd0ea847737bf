"""Words from which the generated company is made. All invented or everyday; none belongs to a real business."""

from __future__ import annotations


def _split(text: str, separator: str = " ") -> tuple[str, ...]:
    """The words of a block of lines."""
    return tuple(word.strip() for line in text.strip().splitlines() for word in line.strip().split(separator))


GIVEN = _split(
    """
    Abigail Adrián Aisha Alan Amélie Anders Anneke Arturo Beatriz Bjørn Carla Chidi Colette Dalia Deshawn Dmitri Eleanor
    Emeka Esmé Farid Fiona Gareth Greta Hana Hector Ingrid Isaac Jamal Jeanne José Joy Kenji Kirsten Lamar Leila Léo Lin
    Lucía Mabel Marcus Mei Nadia Nils Nora Omar Oona Paulo Priya Quentin Ravi Renée Rosa Samir Søren Tamsin Teodor Umut
    Vera Wanda Yusuf Zoë
    """,
)
FAMILY = _split(
    """
    Abbott Achebe Adeyemi Ångström Banerjee Baptiste Brannigan Castañeda Chandra Çelik D'Angelo D'Souza Delacroix Dvořák
    Eriksen Faulkner Fitzgerald García Grünwald Haddad Hasegawa Ibáñez Ivanova Jankowski Johansson Kaplan Kowalczyk
    L'Heureux Lindqvist Łukasiewicz Macdonald Mbeki Müller N'Diaye Nakamura Novák Núñez O'Brien O'Connor O'Malley Okafor
    Papadopoulos Pereira Quigley Ramírez Rasmussen Sørensen Strand Tanaka Thibault Ueda Vasquez Villeneuve Wójcik
    Whitfield Xiong Yılmaz Zhang
    """,
)
TRADES = _split(
    """
    Bakery|Auto Repair|Dental Group|Florists|Property Management|Coffee Roasters|Veterinary Clinic|Architects|Car Wash
    Brewing Co.|Law Office|Elementary School|Fitness Studio|Print Shop|Hotel|Apartments|Bike Shop|Farms|Day Care|Church
    """,
    "|",
)
SUPPLIES = _split(
    """
    Plumbing Supply|Electric Wholesale|Fasteners & Tools|Filter Co.|Sheet Metal|Refrigeration Parts|Fuel Oil
    Uniform Rental|Truck Leasing|Insurance Agency|Safety Products|Copper & Pipe|Controls, Inc.|Water Treatment
    Waste Services|Telecom
    """,
    "|",
)
RARE = (
    "מרים לוי",
    "أحمد حسن",
    "山田 太郎",
    "김서연",
    "Ольга Петрова",
    "Sunny ☀️ Side Café",
    "Rock 'n' Roll Diner",
    "50% Off! Outlet",
    'The "Other" Hardware Store',
    "Back\\Slash Studios",
    "A+ Tutoring #1",
    "Smith & Sons, Ltd.",
)
SITES = _split(
    """
    Main Building|Warehouse|North Wing|Pool House|Unit|Boiler Room|Annex|Gate House|Workshop|Rooftop|Lobby|Parking Deck
    """,
    "|",
)
STREETS = _split(
    """
    Alder Bayview Cedar Dogwood Eastgate Foothill Granite Harbor Ironwood Juniper Kestrel Linden Meadow Northgate Orchard
    """,
)
CITIES = (
    ("Port Amber", "CA", "940"),
    ("Mill Hollow", "CA", "943"),
    ("San Lucero", "CA", "951"),
    ("Tres Robles", "AZ", "857"),
    ("Copper Wells", "AZ", "850"),
)
PARTS = _split(
    """
    Air Filter|Ball Valve|Blower Motor|Capacitor|Compressor|Contactor|Copper Elbow|Drain Pan|Duct Tape|Evaporator Coil
    Expansion Tank|Fan Blade|Flame Sensor|Flex Connector|Gas Valve|Heat Exchanger|Igniter|Line Set|P-Trap|Pressure Switch
    Relay|Thermostat|Transformer|Water Heater
    """,
    "|",
)
SIZES = ('1/4"', '3/8"', '1/2"', '3/4"', '1"', '2"', "16x20", "20x25", "24 V", "120 V", "5 µF", "3 Ton")
WORK = _split(
    """
    Annual Maintenance|Diagnostic Visit|Drain Cleaning|Duct Sealing|Emergency Call|Furnace Tune-up|Installation
    Leak Search|Permit Handling|Refrigerant Recharge|System Start-up|Trip Charge
    """,
    "|",
)
CATEGORIES = _split(
    """
    Air Conditioning|Heating|Plumbing|Electrical|Consumables|Controls
    """,
    "|",
)
