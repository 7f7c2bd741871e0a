"""The places of the world: sixty invented towns in eight regions, and the capitals of ours.

Columns of a region's table: town, river, founder, speciality, miles to the next town of the table
(the last town's neighbour is the first).
"""

from typing import NamedTuple


class Town(NamedTuple):
    """One town; the speciality is what it is known for, without an article."""

    name: str
    region: str
    river: str
    founder: str
    speciality: str
    neighbour: str
    miles: int


REGIONS = {
    "Norland": """
        Aldermoor | Arrin | Hilda Brock | honey cakes | 12
        Brindle | Arrin | Osbert Quill | blue glass | 7
        Carrow | Skell | Runa Frost | woollen blankets | 19
        Dunmere | Skell | Egil Thane | salted cod | 5
        Eskby | Hesk | Sigrid Moor | birch oil | 23
        Fallowgate | Hesk | Torvald Pike | iron nails | 16
        Grimsholt | Garra | Astrid Vale | rye whisky | 31
        Hawkness | Garra | Knut Sedge | seal boots | 9
        """,
    "Estmere": """
        Iverley | Isel | Celia Marsh | silk ribbons | 14
        Jasperton | Isel | Noel Fairweather | green marble | 26
        Kirkholm | Orla | Petra Lorne | church bells | 8
        Lanthorn | Orla | Basil Crane | paper lanterns | 17
        Marlow Cross | Tovel | Ottilie Reed | peppered cheese | 21
        Nettleham | Tovel | Ambrose Clay | nettle soap | 11
        Orrinford | Dask | Verity Stone | river pearls | 6
        Pennick | Dask | Lambert Hale | copper pans | 28
        """,
    "Sudrow": """
        Quarrington | Ulva | Rosalind Pyke | roof slates | 13
        Redcastle | Ulva | Horace Flint | red bricks | 24
        Silverton | Corva | Imogen Lake | silver spoons | 10
        Tamsby | Corva | Percival Ash | peach brandy | 18
        Umberleigh | Vess | Delia Swift | yellow paint | 7
        Velden | Vess | Rufus Grange | goat cheese | 33
        Wexcombe | Zell | Marina Holt | straw hats | 15
        """,
    "Westral": """
        Yarnfield | Yarr | Cecil Rowan | knitted gloves | 20
        Zennor Bridge | Yarr | Adela Finch | smoked mackerel | 4
        Amberley | Pell | Gideon Strand | amber beads | 27
        Barnacle Bay | Pell | Wilma Tide | oyster stew | 12
        Coldharbour | Ond | Lucian Gale | sailcloth | 22
        Driftwood | Ond | Sabine Shaw | rowing boats | 9
        Eastling | Belle | Matthias Dunn | sea salt | 16
        Foxcote | Belle | Erika Thorn | leather bags | 30
        """,
    "Highmoor": """
        Glenbarrow | Glim | Fergus Steel | mountain butter | 25
        Hartsfell | Glim | Moira Keen | deerskin coats | 11
        Ironpass | Kell | Bruno Hammer | steel knives | 38
        Juniper Hill | Kell | Elspeth Wren | juniper gin | 6
        Kestrel | Sarn | Duncan Fell | climbing ropes | 14
        Loftus | Sarn | Isobel Peak | eagle feathers | 29
        Mistley | Tarn | Angus Snow | warm shawls | 8
        """,
    "Lowfen": """
        Oxmere | Wend | Griselda Pond | eel pies | 13
        Peatling | Wend | Humphrey Moss | dried peat | 5
        Quagmire | Marr | Dorothea Rush | reed baskets | 19
        Rushden | Marr | Clement Ware | candle wax | 10
        Sedgewick | Elva | Philippa Bog | duck eggs | 23
        Tillingham | Elva | Roland Weir | garden tools | 17
        Uffington | Fenn | Winifred Sallow | goose quills | 7
        Waterbeck | Fenn | Jerome Sluice | water pumps | 21
        """,
    "Midvale": """
        Appleford | Brue | Sophia Orchard | apple cider | 9
        Barleywick | Brue | Edmund Sheaf | malt beer | 15
        Clovering | Lode | Annika Meadow | clover honey | 12
        Dairyham | Lode | Bertram Churn | thick cream | 20
        Everdale | Quern | Leonora Field | wheat flour | 6
        Flaxby | Quern | Roderick Loom | linen shirts | 26
        Goldacre | Tyne | Matilda Crop | sunflower oil | 18
        """,
    "Farshore": """
        Harrowgate | Rusk | Simeon Ridge | farm carts | 11
        Islewater | Rusk | Corinna Bay | crab nets | 24
        Jettyport | Voe | Barnaby Keel | ship models | 8
        Kelpstrand | Voe | Thea Wrack | seaweed soup | 35
        Lastlight | Mere | Cornelius Beam | lighthouse lamps | 16
        Moonhaven | Mere | Selma Night | silver rings | 13
        Northwharf | Skaw | Gilbert Dock | tar barrels | 28
        """,
}


def _read_towns() -> dict[str, Town]:
    towns = {}
    for region, table in REGIONS.items():
        rows = [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]
        for row, after in zip(rows, rows[1:] + rows[:1]):
            name, river, founder, speciality, miles = row
            towns[name] = Town(name, region, river, founder, speciality, after[0], int(miles))
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
