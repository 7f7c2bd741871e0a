"""True things about the real world, beside the capitals of places: one table for each kind.

A table's entries are "what it is about: the answer", and each answer is one that a short
encyclopaedia gives. Where several would do (the euro, two rivers), the entry is left out.
"""


def table(text: str) -> dict[str, str]:
    """The entries of a table, key -> answer."""
    pairs = (entry.partition(":") for entry in text.replace("\n", " ").split(","))
    return {" ".join(key.split()): answer.strip() for key, _, answer in pairs}


# city: the river that flows through it
RIVERS = table("""
    Paris: Seine, London: Thames, Rome: Tiber, Vienna: Danube, Berlin: Spree, Cairo: Nile,
    Warsaw: Vistula, Prague: Vltava, Budapest: Danube, Seoul: Han, Baghdad: Tigris, Lisbon: Tagus,
    Cologne: Rhine, Hamburg: Elbe, Dresden: Elbe, Florence: Arno, Turin: Po, Dublin: Liffey,
    Glasgow: Clyde, Liverpool: Mersey, Newcastle: Tyne, Cardiff: Taff, Bordeaux: Garonne,
    Lyon: Rhone, Rouen: Seine, Frankfurt: Main, Basel: Rhine, Bern: Aare, Zurich: Limmat,
    Seville: Guadalquivir, Zaragoza: Ebro, Porto: Douro, Belgrade: Danube, Kyiv: Dnieper,
    Moscow: Moskva, Washington: Potomac, New Orleans: Mississippi, Montreal: Saint Lawrence,
    Melbourne: Yarra, Perth: Swan, Phnom Penh: Mekong, Khartoum: Nile, Riga: Daugava,
    Krakow: Vistula, Salzburg: Salzach, Munich: Isar, Bremen: Weser, Verona: Adige, Pisa: Arno,
    Bristol: Avon, York: Ouse, Varanasi: Ganges, Bratislava: Danube, Bonn: Rhine, Toulouse: Garonne,
    Nantes: Loire, Orleans: Loire, Avignon: Rhone
""")

# country: the continent that it lies in
CONTINENTS = table("""
    France: Europe, Germany: Europe, Italy: Europe, Spain: Europe, Portugal: Europe,
    Austria: Europe, Switzerland: Europe, Belgium: Europe, Poland: Europe, Hungary: Europe,
    Greece: Europe, Norway: Europe, Sweden: Europe, Denmark: Europe, Finland: Europe,
    Iceland: Europe, Ireland: Europe, Romania: Europe, Croatia: Europe, Ukraine: Europe,
    Egypt: Africa, Morocco: Africa, Tunisia: Africa, Kenya: Africa, Ghana: Africa,
    Nigeria: Africa, Ethiopia: Africa, Senegal: Africa, Uganda: Africa, Zambia: Africa,
    Angola: Africa, Madagascar: Africa, India: Asia, Nepal: Asia, Japan: Asia, China: Asia,
    Korea: Asia, Thailand: Asia, Vietnam: Asia, Iran: Asia, Iraq: Asia, Syria: Asia,
    Mongolia: Asia, Malaysia: Asia, Indonesia: Asia, Pakistan: Asia, Canada: North America,
    Mexico: North America, Cuba: North America, Panama: North America, Jamaica: North America,
    Peru: South America, Chile: South America, Argentina: South America, Brazil: South America,
    Colombia: South America, Bolivia: South America, Ecuador: South America,
    Uruguay: South America, Venezuela: South America
""")

# country: the language that most of its people speak
LANGUAGES = table("""
    France: French, Germany: German, Italy: Italian, Spain: Spanish, Portugal: Portuguese,
    Austria: German, Poland: Polish, Hungary: Hungarian, Greece: Greek, Norway: Norwegian,
    Sweden: Swedish, Denmark: Danish, Finland: Finnish, Iceland: Icelandic, Ireland: English,
    England: English, Scotland: English, Russia: Russian, Ukraine: Ukrainian, Romania: Romanian,
    Bulgaria: Bulgarian, Serbia: Serbian, Croatia: Croatian, Turkey: Turkish, Egypt: Arabic,
    Morocco: Arabic, Tunisia: Arabic, Japan: Japanese, China: Chinese, Korea: Korean,
    Thailand: Thai, Vietnam: Vietnamese, Iran: Persian, Iraq: Arabic, Syria: Arabic,
    Mexico: Spanish, Cuba: Spanish, Peru: Spanish, Chile: Spanish, Argentina: Spanish,
    Brazil: Portuguese, Colombia: Spanish, Australia: English, New Zealand: English,
    Latvia: Latvian, Estonia: Estonian, Lithuania: Lithuanian, Slovenia: Slovene, Nepal: Nepali,
    Mongolia: Mongolian, Jamaica: English, Angola: Portuguese
""")

# what somebody made or found -> who it was, by what he or she did: past tense, participle
DEEDS = {
    ("wrote", "written"): """
        Hamlet: William Shakespeare, Faust: Goethe, Oliver Twist: Charles Dickens,
        Emma: Jane Austen, Frankenstein: Mary Shelley, Dracula: Bram Stoker,
        Don Quixote: Cervantes, War and Peace: Tolstoy, Crime and Punishment: Dostoevsky,
        Treasure Island: Stevenson, Robinson Crusoe: Daniel Defoe, Moby Dick: Herman Melville,
        Jane Eyre: Charlotte Bronte, Middlemarch: George Eliot, Ulysses: James Joyce,
        Les Miserables: Victor Hugo, Candide: Voltaire, the Odyssey: Homer, the Aeneid: Virgil,
        the Divine Comedy: Dante, Peter Pan: James Barrie, Alice in Wonderland: Lewis Carroll,
        the Jungle Book: Rudyard Kipling, Gulliver's Travels: Jonathan Swift, Peer Gynt: Ibsen,
        Pygmalion: Bernard Shaw, the Three Musketeers: Alexandre Dumas
        """,
    ("composed", "composed"): """
        the Magic Flute: Mozart, Fidelio: Beethoven, Swan Lake: Tchaikovsky, Carmen: Bizet,
        Aida: Verdi, Tosca: Puccini, the Messiah: Handel, the Four Seasons: Vivaldi,
        the Planets: Gustav Holst, Lohengrin: Wagner
        """,
    ("painted", "painted"): """
        the Mona Lisa: Leonardo da Vinci, the Night Watch: Rembrandt, Guernica: Picasso,
        the Starry Night: Van Gogh, the Scream: Munch, the Water Lily Pond: Claude Monet,
        the Kiss: Gustav Klimt, the Great Wave: Hokusai
        """,
    ("invented", "invented"): """
        the telephone: Alexander Graham Bell, the printing press: Gutenberg,
        dynamite: Alfred Nobel, the lightning rod: Benjamin Franklin,
        the battery: Alessandro Volta, the diesel engine: Rudolf Diesel,
        the Morse code: Samuel Morse, the Zeppelin: Count Zeppelin
        """,
    ("discovered", "discovered"): """
        penicillin: Alexander Fleming, radium: Marie Curie, oxygen: Joseph Priestley,
        Uranus: William Herschel, hydrogen: Henry Cavendish
        """,
}
MAKERS = {what: who for works in DEEDS.values() for what, who in table(works).items()}
DEED_OF = {what: deed for deed, works in DEEDS.items() for what in table(works)}

# worker: where he or she works
WORKPLACES = table("""
    doctor: hospital, teacher: school, chef: kitchen, judge: court, farmer: field,
    librarian: library, actor: theatre, miner: mine, sailor: ship, monk: monastery,
    mechanic: garage, baker: bakery, waiter: restaurant, miller: mill, chemist: pharmacy,
    gardener: garden, priest: church, soldier: barracks, pilot: cockpit, professor: university,
    tailor: workshop, butcher: shop, banker: bank, scientist: laboratory, painter: studio,
    clown: circus, blacksmith: forge, brewer: brewery, fisherman: boat, lifeguard: pool,
    secretary: office, guide: museum, prison guard: prison, postman: post office,
    referee: football pitch, barber: hairdresser's, porter: hotel, zookeeper: zoo,
    winemaker: vineyard, groom: stable, astronaut: space station, beekeeper: apiary
""")

# what people make -> what they make it from
MATERIALS = table("""
    bread: flour, cheese: milk, butter: cream, glass: sand, paper: wood, wine: grapes, beer: barley,
    chocolate: cocoa beans, cider: apples, omelettes: eggs, candles: wax, bricks: clay,
    jumpers: wool, jeans: cotton, tyres: rubber, nails: iron, coins: metal, saddles: leather,
    raisins: grapes, ketchup: tomatoes, crisps: potatoes, pasta: wheat, tofu: soya beans,
    rafts: logs, igloos: snow, ropes: hemp, linen: flax, statues: marble, windows: glass,
    barrels: oak, corks: bark, marmalade: oranges, vinegar: wine, yoghurt: milk, soap: fat,
    felt: wool, porcelain: clay, concrete: cement, perfume: flowers, popcorn: maize,
    porridge: oats, sauerkraut: cabbage, kimchi: cabbage, mustard: seeds, cream: milk,
    furniture: wood, sails: canvas, baskets: willow, pencils: graphite, steel: iron
""")

# (what has them, parts) -> how many, in a word
COUNTS = {
    tuple(key.split("/")): n
    for key, n in table("""
    a spider/legs: eight, an insect/legs: six, a week/days: seven, a year/months: twelve,
    an hour/minutes: sixty, a triangle/sides: three, a violin/strings: four, an octopus/arms: eight,
    a minute/seconds: sixty, a day/hours: twenty-four, a chessboard/squares: sixty-four,
    the alphabet/letters: twenty-six, a hexagon/sides: six, a pentagon/sides: five,
    a square/sides: four, a hand/fingers: five, a guitar/strings: six, a bicycle/wheels: two,
    a tricycle/wheels: three, a football team/players: eleven, a dozen/eggs: twelve,
    a decade/years: ten, a century/years: one hundred, a cat/legs: four, a bird/legs: two,
    a crab/legs: ten, a cube/faces: six, the solar system/planets: eight, a year/seasons: four,
    the rainbow/colours: seven, the Olympic flag/rings: five, a snooker table/pockets: six,
    the earth/continents: seven, a pound/pence: one hundred, a piano/keys: eighty-eight,
    an octagon/sides: eight, a duet/singers: two, a trio/players: three, a quartet/players: four,
    a year/weeks: fifty-two, a car/wheels: four, a butterfly/wings: four,
    a cow's stomach/chambers: four, a clover leaf/leaflets: three, a fly/wings: two
    """).items()
}
