"""The places of the world: sixty invented towns in eight regions, and the capitals of ours.

Columns of a region's table: town, founder, speciality, miles to the next town of the table
(the last town's neighbour is the first).
"""

from typing import NamedTuple


class Town(NamedTuple):
    """One town; the speciality is what it is known for, without an article."""

    name: str
    region: str
    founder: str
    speciality: str
    neighbour: str
    miles: int


REGIONS = {
    "Norland": """
        Aldermoor | Hilda Brock | honey cakes | 12
        Brindle | Osbert Quill | blue glass | 7
        Carrow | Runa Frost | woollen blankets | 19
        Dunmere | Egil Thane | salted cod | 5
        Eskby | Sigrid Moor | birch oil | 23
        Fallowgate | Torvald Pike | iron nails | 16
        Grimsholt | Astrid Vale | rye whisky | 31
        Hawkness | Knut Sedge | seal boots | 9
        """,
    "Estmere": """
        Iverley | Celia Marsh | silk ribbons | 14
        Jasperton | Noel Fairweather | green marble | 26
        Kirkholm | Petra Lorne | church bells | 8
        Lanthorn | Basil Crane | paper lanterns | 17
        Marlow Cross | Ottilie Reed | peppered cheese | 21
        Nettleham | Ambrose Clay | nettle soap | 11
        Orrinford | Verity Stone | river pearls | 6
        Pennick | Lambert Hale | copper pans | 28
        """,
    "Sudrow": """
        Quarrington | Rosalind Pyke | roof slates | 13
        Redcastle | Horace Flint | red bricks | 24
        Silverton | Imogen Lake | silver spoons | 10
        Tamsby | Percival Ash | peach brandy | 18
        Umberleigh | Delia Swift | yellow paint | 7
        Velden | Rufus Grange | goat cheese | 33
        Wexcombe | Marina Holt | straw hats | 15
        """,
    "Westral": """
        Yarnfield | Cecil Rowan | knitted gloves | 20
        Zennor Bridge | Adela Finch | smoked mackerel | 4
        Amberley | Gideon Strand | amber beads | 27
        Barnacle Bay | Wilma Tide | oyster stew | 12
        Coldharbour | Lucian Gale | sailcloth | 22
        Driftwood | Sabine Shaw | rowing boats | 9
        Eastling | Matthias Dunn | sea salt | 16
        Foxcote | Erika Thorn | leather bags | 30
        """,
    "Highmoor": """
        Glenbarrow | Fergus Steel | mountain butter | 25
        Hartsfell | Moira Keen | deerskin coats | 11
        Ironpass | Bruno Hammer | steel knives | 38
        Juniper Hill | Elspeth Wren | juniper gin | 6
        Kestrel | Duncan Fell | climbing ropes | 14
        Loftus | Isobel Peak | eagle feathers | 29
        Mistley | Angus Snow | warm shawls | 8
        """,
    "Lowfen": """
        Oxmere | Griselda Pond | eel pies | 13
        Peatling | Humphrey Moss | dried peat | 5
        Quagmire | Dorothea Rush | reed baskets | 19
        Rushden | Clement Ware | candle wax | 10
        Sedgewick | Philippa Bog | duck eggs | 23
        Tillingham | Roland Weir | garden tools | 17
        Uffington | Winifred Sallow | goose quills | 7
        Waterbeck | Jerome Sluice | water pumps | 21
        """,
    "Midvale": """
        Appleford | Sophia Orchard | apple cider | 9
        Barleywick | Edmund Sheaf | malt beer | 15
        Clovering | Annika Meadow | clover honey | 12
        Dairyham | Bertram Churn | thick cream | 20
        Everdale | Leonora Field | wheat flour | 6
        Flaxby | Roderick Loom | linen shirts | 26
        Goldacre | Matilda Crop | sunflower oil | 18
        """,
    "Farshore": """
        Harrowgate | Simeon Ridge | farm carts | 11
        Islewater | Corinna Bay | crab nets | 24
        Jettyport | Barnaby Keel | ship models | 8
        Kelpstrand | Thea Wrack | seaweed soup | 35
        Lastlight | Cornelius Beam | lighthouse lamps | 16
        Moonhaven | Selma Night | silver rings | 13
        Northwharf | Gilbert Dock | tar barrels | 28
        """,
}


def _read_towns() -> dict[str, Town]:
    towns = {}
    for region, table in REGIONS.items():
        rows = [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]
        for row, after in zip(rows, rows[1:] + rows[:1]):
            name, founder, speciality, miles = row
            towns[name] = Town(name, region, founder, speciality, after[0], int(miles))
    return towns


TOWNS = _read_towns()

CAPITALS = dict(
    [cell.strip() for cell in pair.split(":")]
    for pair in """
    France: Paris, Germany: Berlin, Italy: Rome, Spain: Madrid, Portugal: Lisbon, Austria: Vienna,
    Switzerland: Bern, Belgium: Brussels, Poland: Warsaw, Hungary: Budapest, Greece: Athens,
    Norway: Oslo, Sweden: Stockholm, Denmark: Copenhagen, Finland: Helsinki, Iceland: Reykjavik,
    Ireland: Dublin, Scotland: Edinburgh, Wales: Cardiff, England: London, Russia: Moscow,
    Ukraine: Kyiv, Romania: Bucharest, Bulgaria: Sofia, Serbia: Belgrade, Croatia: Zagreb,
    Turkey: Ankara, Egypt: Cairo, Morocco: Rabat, Tunisia: Tunis, Kenya: Nairobi, Ghana: Accra,
    Nigeria: Abuja, Ethiopia: Addis Ababa, Senegal: Dakar, India: New Delhi, Nepal: Kathmandu,
    Japan: Tokyo, China: Beijing, Korea: Seoul, Thailand: Bangkok, Vietnam: Hanoi, Iran: Tehran,
    Iraq: Baghdad, Syria: Damascus, Canada: Ottawa, Mexico: Mexico City, Cuba: Havana, Peru: Lima,
    Chile: Santiago, Argentina: Buenos Aires, Brazil: Brasilia, Colombia: Bogota,
    Australia: Canberra, New Zealand: Wellington, Latvia: Riga
    """.replace("\n", " ").split(",")
)
