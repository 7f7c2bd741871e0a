"""Messages that come to a phone: from friends, from honest firms, from sellers and from thieves.

One message to a line; a line that starts with + goes on with the one before. {N} stands for a
number in digits, {n} for a small one in a word, {hour} for an hour of the day, {price} for a sum
of money and {big} for a large one, {code} for five digits, {phone} for a telephone number, {site}
for an address, {shop} for the name of a shop and {job} for something to do ("wash the car");
<a|b|c> is one of the three.
"""

from ch05.course_model.world.phrasings import lines


def messages(text: str) -> tuple[str, ...]:
    """The messages of a block of text, each put back on one line."""
    return lines(text.replace("\n    + ", " "))


FRIENDS = messages("""
    Train stopped in the middle of a field near {T}. No idea why. Eat without me, {A}
    Sorry {B}, bus never came. Walking now, with you in {N} minutes
    We're cooking {food} on {day}, far too much of it. Are you two hungry? {A}
    {B}, did I leave my keys on your table? I'm locked out and it's raining. Pls look!
    Found the keys!!! They were in the fridge, next to the {food}. Don't tell {B}
    I still owe you {price} from {day}. Will you take cash, or shall I buy the next dinner?
    hey {B} can u lend me {price} till {day}? its for the school trip, mum's away. thx
    Can anybody give me a lift to {T} on {day}? I'll pay for the petrol and I don't sing. {A}
    There's room in the car for {n}. We leave at {hour}, please be outside, {B} hates waiting.
    I've lost my {thing} somewhere between the bakery and the bridge. Reward: one cake. {A}
    Somebody gave me two tickets for the theatre on {day}, they cost me nothing.
    + Will you come with me, {B}? Answer by {hour} or I'll ask my sister.
    Free tickets!! Well, two of them, for the match in {T}. Dad can't go. You want one?
    I WIN! {N} to {N} and {B} had the white pieces. Never laughed so much
    You won, {B}, I admit it. The {things} are yours. I claim a second game on {day}.
    URGENT: we have no milk and grandma is already at the door. Who's near a shop?
    Emergency!! What do I wear to {A}'s party, the green one or the blue one? Reply NOW
    Call me as soon as you get this. It's good news, I promise! {A}
    Thanks for last night, {B}. The {food} was lovely and so was the talk.
    Thank you for the flowers, they arrived today and the whole house smells of them. {A}
    thx for helping with the move, you're a star. my back hurts, does yours?
    Why did the clock go to the doctor? It had no time to get well. Ha! Love, Dad
    {A} told a joke at work and nobody laughed. I'm still laughing about that
    What's the plan for {day}? I could be in {T} by {hour} if the weather is good.
    Shall we try the new place next to {shop}? First coffee is on me. {A}
    {B} has a fever again, so no visit today. The doctor says rest and lots of tea.
    Can't come to work, I've lost my voice. Please tell {B}. The key to my desk is in the cup
    Feeling better, thank you for asking. I even ate some {food}. Back in the office on {day}.
    Our little one lost a tooth today and wants {price} for it. Prices are rising!
    Could you collect {A} from school? My meeting won't end before {hour}. Thanks a million
    The cat has caught a mouse and put it in your left shoe. Just so you know. {A}
    Has anyone seen our dog? He jumped over the fence near the mill.
    + He's brown and friendly and will do anything for cheese. Please call {phone}, any hour
    The rabbit's fine, the sofa isn't. See you on {day}, and please don't be angry. {A}
    Boss wants the numbers by {hour}. Can you check my account of the trip before I send it?
    Well done everyone, the customer loved our offer! There's cake on {B}'s desk. {A}
    {B}, the printer is broken again. Password for the other one is on the door, don't laugh
    I've read your report. Two small mistakes on page {N}, the rest is excellent. {A}
    Who took my {thing}? No questions asked, just put it back before {hour}.
    HAPPY BIRTHDAY {B}!!! Your present's too big for the post so you must come and get it
    Mum, I passed! The teacher even shook my hand. Can we have {food} tonight?
    Did the parcel come? It should be there by now. Don't open it before your birthday! Gran
    My phone fell in the soup. It works but it smells of onions. Ring the landline instead
    I'm at {shop} and they've only got the red one. Shall I take it? It's {price}. Quick!
    Can you {job} before {hour}? The guests are coming early. Sorry, and thank you. {A}
    I'll {job} if you do the cooking. Deal?
    Good luck today, {B}! You know it all, and if you don't, smile. xx
    Please transfer your part for the boat when you have time, {price} each. No hurry. {A}
    Got your money, thanks, all paid now. Want the receipt or shall I throw it away?
    {A} says there's a discount for groups of ten. We are {n}. Do you know any more people?
    Be careful, {B}: my mail was hacked. If I ask you for vouchers or money, it isn't me!
    Grandpa got one of those calls about a prize. He told them to keep it and hung up.
    + Proud of him! {A}
    I'm bored. Nothing on, nobody here, rain. Tell me something nice
    ok see you at {hour} by the fountain
    No, not the {thing}, the other one! Oh never mind, I'll show you on {day}. {A}
    Miss you too. Only {N} days now. Kiss the children from me
    Sorry I didn't answer, I was in the bath. What did you want to know, {B}?
    Dear {B}, I was sorry to hear about your uncle. He was a good man and he made us laugh.
    + If there is anything I can do, you only have to ask. Yours, {A}
    The band needs a drummer by {day}! It's not paid, but there's free beer. Any offers?
    Do you need a {thing}? We've got two since the wedding. Yours for nothing, {B}
    Choir is at {hour} this week, bring the song with the birds. Tea afterwards. {A}
    Landed safely. The sea is warm, the room is small and the food is wonderful. Love to all
    We got the flat!!! Deposit paid, keys on {day}. Can't believe it. Party in {month}
    Don't forget to sign the card for {B}, it's in my drawer under the newspaper.
    U up? I can't sleep, the neighbours are dancing again
    Last chance to say no: I'm booking the cottage tonight, {price} a head. {A}
    I had a look at your bike, {B}. New chain, new bell, that'll do. You owe me {food}!
    Wrong {A}, sorry! That message was meant for my brother. Have a nice day though
    Are you the one who left {food} at my door? I could hug you. {A}
    Snow!! School's closed!! Get your sledge and meet us on the hill at {hour}
    <Could you|Can you> <look after|take in> <the cat|our dog|the hens> <from {day}|over the
    + holidays>? <We'll pay you in {food}|I'd do the same for you>. {A}
    <Mum|Dad|Gran>, it's me, {A}. My <old phone|phone> <is broken|drowned in the lake>, so I'm
    + <using {B}'s|writing from {B}'s>. <Nothing's wrong|No need to do anything>, home by {hour}.
    <I changed my number|New number>, the old one <stops|ends> on {day}. <It's really me|Ring me and
    + you'll hear it's me>, ask what we called the <goat|car>. {A}
    I'm <at the bank|in the queue at the post office>. <Do you need anything|Shall I bring you
    + something> from {shop}? <Answer quickly|Quick>, I'm <next|nearly at the desk>!
    <Paid|I've paid> for the <cinema|boat|room> with my card, {price} each. <Give it to me|You can
    + hand it over> <on {day}|when we meet>, <coins are fine|I take {food} as well>. {A}
    <You lent|Remember you lent> me {price} in {month}? <It's|The money is> <in an envelope|under
    + the flowerpot> <at your door|with {B}>. <Thank you|Sorry it took so long>! {A}
    The photos from {T} are <online|ready>: {site}. <You look great|Don't laugh> in the
    + <one with the donkey|last one>. <The password is|Password:> what we ate on {day}. {A}
    <Here's|This is> the recipe <you asked for|for your {food}>: {site}. <I use|Take> half the sugar
    + and <twice the butter|no salt>. {A}
    <My sister|{B}> is collecting for the <lifeboat|school garden>. <You can give|Give> at {site} or
    + <drop a coin in her tin|just tell her on {day}>. <No pressure|Only if you want>! {A}
    <The lottery|Our lottery club> again: {n} right numbers, <we win|that's> {price}, <split by
    + eleven|which buys us each a bun>. <Same numbers next week|Shall we go on>? {A}
    <We won|They won> the raffle! <A {thing}|One {thing}>, and <nobody knows what to do with
    + it|it's as ugly as last year's>. <Do you want it|It's yours> for <nothing|a hug>.
    <Urgent|Help>! <Which|What> <size are your feet|colour is your kitchen>, {B}? I'm <in the shop
    + now|standing at the till> and they close at {hour}.
    <Don't tell|Not a word to> {B}, but we <are planning|have planned> a surprise for {day}. <Each
    + gives|We each put in> {price}, I've <ordered|found> the <cake|{thing}>. {A}
    <Is this still|Is that> your <email|address>? I want to <post you|send you> the <seeds|pictures>
    + <I promised|from grandpa's box>. Love, your <cousin|aunt> {A}
    <Flat|The flat> above ours is free from {month}, {big} <a month|with heating>. <You could see
    + it|Come and see it> on {day}, <I've got the keys|the landlord shows it>. {A}
    <They're looking|We're looking> for somebody at <work|the bakery>, {price} an hour, {day}s.
    + <Come in and talk to|Talk to> {B}, <bring nothing|wear good shoes>. {A}
    I <sold|have sold> your <bike|{thing}> for {price}, <as you wanted|like we said>! <I'll
    + bring|Bringing> the money <round|over> on {day}. {A}
    <Your bag|Your coat> is <in my car|still at ours>. <Nothing's missing|Everything's there>, I
    + <looked|checked>: purse, cards, keys. <Fetch it|Pick it up> when you <like|want>. {A}
    <I got a strange message|Somebody wrote to me> in your name and wanted {price}. <Was that
    + you|That wasn't you, was it>? <I sent nothing|I paid nothing>, of course. {A}
    <If a man|If anyone> <rings|calls> and says he's from <your bank|the police>, <hang up|put the
    + phone down>! <It happened|They tried it> to {B} <today|on {day}>. {A}
    <The doctor says|Doctor says> it's <only a cold|just the knee>. <No hospital|Nothing bad>. I'm
    + <bored|in bed>, so <write me|send me> <something funny|your news>. {A}
    <Train's full|Bus is full>, <I'm standing|standing all the way>, a man <sings|is eating {food}>
    + beside me. <How's your|And your> {day}?
    <Free|Are you free> on {day}? <I need|We need> two strong arms and <a van|patience> for the
    + <sofa|piano>. <You get|There'll be> {food}. {A}
    <Your turn|It's your turn> to <bring|buy> the {food}, {B}. <I did|I paid> the last {n} times,
    + <I've counted|as everybody knows>.
    <Code for|The code of> the <gate|bike lock> is {N}, <don't write it down|please forget it
    + again>. <The key|Key> hangs <inside|behind the door>. {A}
    <I'll be|Will be> late, <start the film|begin to eat> without me. <Save me|Keep me> <a
    + seat|some {food}>. {A}
    <Who has|Has anyone got> my <ladder|drill>? <No hurry|Not urgent>, I only need it <on
    + {day}|before winter>.
    <Borrow|You can have> the <car|van> on {day}, {B}. <Keys|The key> <in the blue jug|with Gran>,
    + <just fill it up|it drinks a lot>.
    <The baby|She> <is here|came at {hour}>! <Both are well|Three kilos, lots of hair>. <No visits
    + yet|Come and see us on {day}>. {A}
    <Grandpa's|Uncle's> <birthday|party> costs us {price} each, <give it to {B}|bring it in an
    + envelope>, <he must not know|and sing loudly>.
    <Did you see|Look at> the <moon|snow>? <Go outside|Window, now>!
    <You forgot|You left> your <hat|phone charger> <again|on our sofa>. <It's|It lies> <on the
    + hook|by the door>, <come by|fetch it> when you want. {A}
    <I passed|We passed>!!! <Seventeen|Fewer> mistakes <and still|but> <a licence|through>. <First
    + ride|I'll drive you> <on {day}|to {T}>.
    <Is it true|Somebody says> you <won the lottery|are getting married>? <Ha|Tell me everything>.
    + {A}
    <The bank|My bank> <sent me|wrote me> <a silly letter|forms again>. <Can you|Will you> <read it
    + with me|help me on {day}>? You <know|understand> these things. {A}
    <We need|Needed:> {n} <chairs|plates> for {day}. <Who can bring|Have you got> some? <Nothing to
    + pay|Cake for helpers>. {A}
    <Your code|The code> for our <door|wifi> is the <year you were born|dog's name twice>. <You
    + know it|Don't say it aloud>. {B}
    <My account|My mail> was <stolen|broken into> <last night|on {day}>. <If I|Should I> <ask
    + for|want> money there, <laugh|don't answer>, <ring my real number|come by>. {A}
    <The price|Petrol> <has gone up|is mad>: {price}! <Shall we|Let's> <share a car|take the train>
    + on {day}?
    <Hurry|Quick>, {B}! <The ferry|Our train> <leaves at {hour}|won't wait>, <gate {N}|I'm holding
    + the door>.
    <I dreamed of|I thought of> you <last night|today>. <Remember|Do you still know> our <summer in
    + {T}|old boat>? Love, {A}
""")

SERVICES = messages("""
    A reminder of your appointment with the dentist on {day} at {hour}. To move it, ring {phone}.
    Dear {A}, we have a place for you on {day} at {hour}. Please reply YES if you can come.
    Your order from {shop} left our warehouse today and will be with you on {day}.
    Hello {A}, your parcel is on its way. Nothing is due at the door. Your driver is {B}.
    We delivered the {things} you ordered at {hour} and left them with your neighbour.
    Nobody was at home today. Your parcel waits at {shop} for {n} days; bring some proof of name.
    {T} Library: the book you asked for has arrived. We keep it for you until {day}.
    Library notice: {n} of your books are late. There's no fine if you return them by {day}.
    {code} is your security code. Never tell anyone this number. Our staff will not ask for it.
    Use {code} to confirm your payment of {price} to {shop}. If it wasn't you, call the number
    + on the back of your card. Do not share this code.
    You changed your password today at {hour}. If that was you, there is no more to do.
    Thank you, we have received your payment of {price}. Invoice {N} is now settled.
    Invoice {N} for {price} is attached, to be paid by the end of {month}. With thanks, {shop}
    Your statement for {month} is ready. Sign in as usual to read it; we never send links.
    Your balance on {day} was {big}. This weekly note can be switched off in the settings.
    Refund: {price} for the {thing} you returned is going back to your card. Allow {n} days.
    The school will close at noon on {day} because of the storm. Buses leave at {hour}.
    Dear parents, class {N} visits the castle in {T} on {day}. Please pack lunch and boots.
    {A} was not in class this morning. Please let the school office know that all is well.
    Your landlord here. The roof will be repaired on {day}, there may be some noise. Sorry! {A}
    Thank you for the deposit of {big}. You'll get it back when you hand over the keys. {A}
    Rent goes up by {price} from {month}, as we agreed in the contract. Any questions, call me.
    Garage {A}: your car has passed its test. It only needed a lamp, {price}. Open until {hour}.
    The part for your car is late, sorry. We hope to finish on {day}. You can keep our van
    + till then, at no cost. {A}, garage
    Doctor {A}'s practice is closed in the first week of {month}. If urgent, ring {phone}.
    Your results are back and they are normal. No need to call. Doctor {B}
    It's time for your flu vaccination. Choose a day at the desk or on {phone}. It's free.
    Membership renewed, thank you, {A}! Your new card comes by post in {month}.
    The club's summer party is on {day} from {hour}. Members pay {price}, children nothing.
    Chess club: no evening on {day}, the room is booked. See you a week later. {A}
    POWER CUT in {T} on {day} from {hour} for about {n} hours. Please keep fridges shut.
    The water will be turned off in your street on {day}. It should be back by {hour}.
    Your gas meter must be read this month. Send the figures or let {A} in on {day} at {hour}.
    Delivery today between {hour} and noon. Everything is paid, please just open the gate.
    Your table at {shop} is reserved for {n} people, {day} at {hour}. We're happy to see you!
    Booking {code} confirmed: {n} nights in {T}, {price} each, pay at the hotel.
    Your flight to {T} is delayed until {hour}. We are sorry. Show this message for a hot drink.
    Train {N} to {T} will not run on {day}. Tickets are good for any other train that day.
    {shop} is closed on {day} and opens again at {hour} the day after. Happy holidays!
    New opening hours at {shop} from {month}: every day but Sunday, until {hour}.
    Dear {A}, you wrote to us about the broken {thing}. We'll send another one, without charge,
    + and you may keep the first. Please accept our apologies. {B}, {shop}
    Sorry, the {thing} you wanted is sold out. Would you like your money back, or wait for {month}?
    Your {things} are ready to be collected. Please bring the ticket. {shop}
    Thanks for your order! You chose: {N} {things}. Total {price}, paid with your voucher.
    The voucher you bought for {B} has been sent by post. It's valid for {n} years.
    Your subscription to the {T} Times ends in {month}. If you do nothing, it simply stops.
    You have cancelled your membership. We're sad to see you go, {A}. Nothing more will be taken.
    You've unsubscribed and won't hear from us any more. All the best from {shop}
    Bank notice: our branch in {T} moves to the market square in {month}. Your card stays valid.
    Your new card was posted today. The code follows in a separate letter. Keep them apart.
    WARNING from your bank: thieves are sending false messages in our name. We never ask you to
    + move money or to read out a code. When in doubt, hang up and visit us.
    A payment of {price} to {shop} was refused, your balance is too low. You may try again later.
    Dear customer, thank you for your call. Your question has number {code} and {A} is on it.
    Hairdresser: see u on {day} at {hour}, {A}! Can't make it? Just text back, no charge
    The vet has your dog's pills. They are {price}, or you can send the bill to your insurance.
    Your glasses have come in. Please drop by for a fitting, it takes ten minutes. {A}, optician
    Piano lesson moved to {day}, same hour. Please practise the slow part. {A}
    Tax office: your return has arrived. You will get a letter in {month}. Please do not reply.
    {T} Council: paper is collected on {day}, glass a week later. Boxes out by {hour} please.
    We've got your application for the job in {T} and would like to meet you on {day} at {hour}.
    + The way to our office is shown at {site}. Best regards, {A}
    Your wages for {month} have been paid into your account. The slip is in your box. {A}
    Museum of {T}: here are your {n} tickets, number {code}. Show them at the door. Enjoy!
    You won third prize in the school's drawing contest, {A}! Prizes are given out on {day}
    + in the hall. Parents are welcome, and there will be tea.
    The plumber will be with you on {day}. It's {price} an hour, and he brings the tap. {shop}
    You left a {thing} at the swimming pool. It's in the lost property box, ask for {A}.
    Blood donors are needed in {T} on {day}. You last gave in {month}, so you may give again.
    Your question about parking: guests may stay for {n} hours free of charge. {A}, town hall
    To read the notes of the meeting go to {site}. The vote on the playground is on {day}. {A}
    Sale for our regular customers on {day}: {things} from {price}. You get this because you
    + joined our list in the shop. To leave it, tell us or text STOP.
    {A}, your <parcel|packet> <came|arrived> at {shop} <this morning|today>. <Show|Bring> <your
    + passport|a card with your name>; <nothing is to be paid|it has been paid for>.
    <Your driver|The driver> is {n} stops away. <No need to sign|Please keep the dog in>.
    + <Questions? Ring|To change the day, call> {phone}.
    <We noticed|We saw> a payment of {price} <in {T}|at {shop}>. <If it was you|Was it you? Then>
    + there's nothing to do. <If not|Otherwise>, <call the number on your card|come to the branch>.
    Your card was used <abroad|in {T}> for {price}. <We'll never|No one here will ever> ask for your
    + code <by message|on the phone>. <Your bank|{T} Bank>
    <You asked us|As you asked, we have agreed> to <close|move> your account. <The last statement|A
    + paper for your files> <follows by post|lies at the desk>.
    Your <password|new password> <was changed|has been set> at our desk on {day}. <You need do
    + nothing|Nothing more is needed>.
    {code} <is the number|is your number> in the queue. <You'll be called|We call you> at about
    + {hour}, <room {N}|second floor>. Town hall
    <Your refund|The refund> of {price} for the <late train|ticket to {T}> <was sent|has gone> to
    + the card you paid with. <There's no form to fill in|You need not reply>.
    Tax office: <your letter|the form> <has reached us|is being read>. <We write|You will hear> by
    + <post|letter> only, <in about {n} weeks|before the end of {month}>.
    <You have been chosen|You were chosen> for the <school play|second team>, {A}! <Practice|We
    + meet> is on {day} at {hour}. <Bring|Please bring> <water|good shoes>.
    <The hospital|Ward {N}>: <your mother|your father> is <well after the operation|awake and
    + hungry>. <Visits|You can visit> until {hour}. <She asks for|He'd like> <her glasses|a
    + newspaper>.
    <Your results|The results> <can be seen|lie ready> at the practice <from {day}|until {hour}>.
    + <We tell them|They are told> to you <alone|in person>.
    <Your application|We read your letter>: <please come|we invite you> to {shop} on {day}, {hour}.
    + <The trip|Your ticket> is paid <by us|back>. <Kind regards|Yours>, {A}
    <Your wages|Pay day>: {big} <went|has gone> to your account <today|as always>. <A
    + mistake|Anything wrong>? <Come to|Ask in> room {N}.
    <Meter|Your meter>: <we wait for|please note down> its numbers until {day}, <at {site}|on a card
    + through our door>. <Else|Otherwise> we <guess|reckon> with last year's.
    <The water|Your street's water> is <fine again|safe to drink again>. <We thank you for|Thank you
    + for> boiling it. {T} Waterworks
    <Members'|The members'> <evening|meeting> <is|takes place> on {day}, {hour}. <The list of|All>
    + points to vote on <is at {site}|hangs in the hall>. {A}, <secretary|chair>
    <You gave|You have given> {price} to the <animal home|hospice>. <Thank you|With thanks>! <A
    + paper for the tax office|Your receipt> comes in {month}.
    <Your order|The {things}> from {shop} <is ready|are ready>. <Pay at the till|It's paid>, <open
    + till {hour}|we're here until {hour}>.
    <Half price|Ten per cent off> on {things} <for members|this week> at {shop}. <In the shop
    + only|No need to order>. <No more of these?|To end these> <tell the till|text STOP>.
    <You left|A gentleman found> your <umbrella|purse> <in our taxi|at table {N}>. <It's|It waits>
    + at {shop}, <all the money is in it|untouched>. {A}
    <Your subscription|The paper> <ends|runs out> on {day}, as you <wished|wrote>. <Nothing will be
    + charged|There's no further bill>.
    <Sorry|We're sorry>: the <concert|course> on {day} <is off|can't take place>. <Your {price}
    + comes back|The money goes back> <by itself|to your card>, <no form needed|without your doing
    + anything>.
    <Your landlord|House office>: <the new lock|a new key> <is in|was put in> on {day}.
    + <Collect|Get> your <two keys|key> from {A}, <ground floor|flat {N}>.
    <Reminder|A reminder>: <the book|your car's test|your passport> <is due|runs out> in {month}.
    + <Make an appointment at the desk|Come in when it suits you>. <No fee|It costs {price}>.
    Your <gym|swimming> card <ends|runs out> on {day}. <Stay with us|Go on> and <pay when you
    + next come|tell {A}>, or <leave it|do nothing>.
    <Choir|Theatre> tickets: <two seats|row {N}> <are kept|wait> for you, <pay at the door|paid
    + already>, <doors open|we start> at {hour}.
    <The repair|Your phone> is <done|ready>, {price} <as agreed|instead of {big}, it was only
    + dust>. <Open|We're here> till {hour}. {shop}
    <This is|Here is> {A} from <the school|the office>. <Your son|Your daughter> <has a fever|fell
    + and is fine>, please <fetch|collect> <him|her> <at {hour}|when you can>.
    <You parked|Your car stood> {n} hours, {price}. <Thank you for|We have> your coins. <This is
    + your|Keep this> receipt.
    <Pension office|Your pension>: <from {month}|next year> you get {big}. <You need not|No need
    + to> <apply|write> again. <Letter follows|It is sent by post>.
    <Your garden waste|The old sofa> will be <fetched|taken> on {day}. <Put it|Leave it> <at the
    + kerb|by the gate> <before {hour}|the night before>. {T} Council
    <Your food|The {food}> <is on its way|leaves the kitchen now>, {B} <brings it|rides to you>.
    + <Paid|All paid>, <no tip needed|enjoy>!
    <Insurance|Your claim>: we <pay|have paid> {big} for the <roof|bike>. <It arrives|You will see
    + it> <in {n} days|on your account>. <No|There are no> questions left.
    <Voting|The vote> in {T}: <your room|you vote> <is the gym|in room {N}>, {day}, until {hour}.
    + <Bring the card|A passport will do>.
    <Code|Login code>: {code}. <Valid|Good> for {n} minutes. <If you did not|Did you not> <ask for
    + it|sign in>? <Then ignore|Simply forget> this.
    <The bus|Line {N}> <stops|turns> <at the mill|by the church> until {day}, <the bridge is
    + mended|works>. <Sorry|We ask your patience>. {T} Buses
    <We have cancelled|You cancelled> the <booking|order>. {price} <goes back|returns> the way
    + <it came|you paid>. <You're always welcome|Goodbye for now>, {shop}
    <Your invoice|Invoice {N}> of {month} is <paid|settled>. <You owe|There is> nothing
    + <more|else>. <Warm greetings|Thank you>, {shop}
    <Free|No charge>: <health check|flu jab> for <all over sixty|members> on {day}, {hour}, <at the
    + practice|town hall>. <Just|Simply> <come|walk in>.
    <Lost card|Your lost card>: <blocked|stopped> <as you asked|by you at {hour}>. <The new
    + one|Another> <comes|is sent> <to your address|by post>. {T} Bank
""")

ADVERTS = messages("""
    CONGRATULATIONS! You're the lucky winner of {big}! Ring {phone} now and claim your prize.
    You have been chosen from {N} customers. Your reward is waiting: {site}
    Free gift!! A {thing} for everyone who replies before {hour}. Text GIFT to {code}
    Your number was drawn in our game. To get your {big}, phone {phone}. Calls cost {price}.
    LAST CHANCE, {A}! Your prize of {big} goes to somebody else at {hour}. Click: {site}
    Need cash today? Borrow up to {big}. No questions, no papers. Text LOAN to {code}
    Bad credit? Old debts? We say YES when your bank says no! {big} in one hour, {phone}
    New phone for only {price} a week! Camera, games and music. Limited offer, call {phone}
    Is your phone older than {n} months? Swap it FREE for the newest model. Text SWAP to {code}.
    + Contract {price} per week. Reply STOP to end.
    Join now and the first month is free, then {price} a week until you cancel. {site}
    Jokes, songs and stars on your phone every day! Text FUN to {code}, {price} per message
    Somebody near {T} likes you a lot. Want to know who? Text HEART to {code}, {price} a reply
    Hi, it's {A}! I'm lonely tonight and I love to chat. Call {phone}, {price} a minute, 18+
    Hiya, been thinking about u all day. See my pictures at {site} xx {A}
    hey its {A}, remember me from {T}? i've found a great way to make {big} a month.. ask me how
    Dear customer, your points are worth {price} and end today. Spend them now at {site}
    Click here for {price} off everything: {site}. Only today. Only for you. Only while stocks last
    DISCOUNT! DISCOUNT! {things} at half price, {things} nearly free! Hurry to {site}
    Double your money at our casino. We give you {price} to start with. Play at {site}
    {N} free spins are in your account, {A}. Log in and win {big} tonight!
    You could be a millionaire by {day}. Your first ticket costs only {price}. Play: {code}
    Lose {N} pounds by {month} without giving up {food}! Doctors are amazed. {site}
    Can't sleep? Tired all day? Our new pill helps or your money back. Order on {phone}
    Look ten years younger in a week! Free sample, postage only {price}. Text YOUNG to {code}
    Your roof is getting old. Our team is in {T} this week and gives you a special price. {phone}
    You may be paying too much for power! Save {big} a year. It takes two minutes: {site}
    Had an accident lately? It wasn't your fault? You could get {big}. Reply CLAIM, or STOP to end
    Our records show that money is owed to you after your fall. Ring {phone}, a friendly voice
    + waits.
    Insurance for your {thing} from {price} a month. Think of your family. Call {A} on {phone}
    A free holiday for two! Sun, sea and a good hotel. Just come to our talk in {T} on {day}.
    You have won a cruise!! Pay only the harbour charges of {price}. Answer quickly, {n} cabins left
    Cheap flights, cheap hotels, cheap everything. We beat any price. {site}
    Exclusive invitation: only {n} seats left for our evening on how to get rich. {T}, {day},
    + {price}
    Buy gold now, before it's too late. Clients of ours made {big} since {month}. {phone}
    This coin will go up tenfold. Get in early. My friends and I did. {site}
    I quit my job thanks to this one trick. You can, too. Let me show you how, {A} at {site}
    Hi {A}, how are you? We miss you at {shop}! Come back and get a voucher worth {price}.
    A little bird told us it's your birthday soon. Pick your free present at {site} :-)
    Final notice: your offer ends at {hour}. {things}, {things} and more for {price}
    What do you think of us? Fill in {n} short questions and win a {thing}. Your card number
    + is needed
    + for postage.
    We need {N} people to try our new {thing}. Keep it afterwards! Sign up: {site}
    Guess the film and win {big}! Text A for Jaws or B for Bambi to {code}. {price} per text
    Who sings best? Vote for {A}! Text {N} to {code}. Every vote could win you a car. {price} each
    The stars have a message for you. Money, love, a stranger. Hear it on {phone}, {price} a minute
    Madam {A} dreamed of your name. She'll tell you the numbers of next week's lottery for {price}.
    GET RICH FROM HOME! Fill envelopes, earn {price} per hour. Starter kit {price}, call {phone}
    Earn your diploma without study or exams. Papers in {n} days. Ask for {A}, {phone}
    Brand new watches, same look as the famous ones, {price}. Nobody will see the difference
    No more bills for TV! Our box gets every channel. One payment of {price} and that's it. {site}
    Your ringtone is old! Get the song of the summer, text TUNE to {code}. Subscription {price}/week
    Thank you for joining Fun Club! {price} will be added to your bill each week. STOP to {code}
    Unwanted messages? Text BLOCK to {code} and we'll stop them for {price} a month.
    DON'T DELETE THIS! The people who did are sorry now. {big} is at stake. Phone {phone}
    Good morning! A smile costs nothing, and so does your first box of {food}. Later boxes {price}.
    {A}, you're preapproved. Card with {big} limit, no checks. Tap {site} to accept, reply
    + STOP to refuse
    Win win win! {things}, holidays, cash! Each text is a new chance. Send WIN to {code}
    Every tenth caller gets {big}. The next one could be you. Lines close at {hour}, {phone}
    Exciting news for people in {T}: we buy your old {things} for cash. Top prices, {phone}
    Sell your house fast! We pay today, any condition. No agent, no waiting. Text HOUSE to {code}
    Only {n} left!!! The {thing} everybody wants, yesterday {big}, now {price}. Secure yours: {site}
    Your free trial of {n} days begins now. After it we take {price} monthly. Enjoy!
    Is your hair getting thin? So was {A}'s. One bottle, {price}, and look at him now. {site}
    Dear friend, we've doubled your bonus. It is valid for tonight only. Deposit {price}, play
    + with {big}
    Want followers? {N} new friends for {price}. Be famous by {day}! {site}
    Your neighbours in {T} have already switched. Don't be the last to pay more. Dial {phone}
    The secret of a happy marriage, now in a book for {price}. Order today and get a {thing} free
    You've got one new voice message from someone who admires you. To listen, call {phone}
    Reply YES for your free {thing}. By replying you agree to pay {price} a week.
    <Make|Earn> {price} <an hour|a day> <from your sofa|with your phone>! <No boss|No training>,
    + <start today|begin tonight>. <Ask me how|Write "YES">. {A}
    <Tired of|Sick of> your <old {thing}|bills>? <Ours|The new one> is <the best in the world|loved
    + by thousands>, <now only|just> {price}. <Hurry|Order fast>, {phone}
    <You deserve|You've earned> a <holiday|rest>! {T}, {n} nights, {price}. <Only|Just>
    + <today|until {hour}>. <Pay now|Book now> <at {site}|by text>, <fly|travel> whenever.
    <Hi|Hello> <friend|dear>, we have <not seen you|missed you> for {n} <weeks|months>. <Spend|Here
    + is> {price} <before|if you buy before> {day} <or lose it|then it's gone>. {shop}
    <My husband|My doctor> <laughed at me|didn't believe me>, until I lost {N} <pounds|kilos> with
    + this <tea|powder>. <Try it|First box> for {price}. {A}
    <Nobody|No one> <will tell you|tells you> this: <coins|gold|this share> <goes up|doubles> on
    + {day}. <Join|Come into> our <group|circle>, <entry|only> {price}.
    <Are you lonely|All alone tonight>? <I am|Me> too. <Talk to|Write to> me, {price} <each
    + message|a minute>. <Kisses|xx>, {A}
    <Your horoscope|The cards> <says|say> <a fortune is near|somebody thinks of you>. <For the
    + rest|To hear more>, <dial {phone}|send {price}>.
    <We pay off|Let us pay> your debts! <One small rate|Just {price} a month>. <Everyone|Anybody>
    + <is accepted|gets it>, <no questions|no papers>. <Answer YES|Ring {phone}>
    <Guess|Count> the <sweets in the glass|stars> and win <a car|{big}>. <Each guess|One try> costs
    + {price}, <guess often|try as often as you like>! Text to {code}
    <Roof|Windows|Drive> <dirty|old>? <We're|Our men are> in your street <today|on {day}>, <cash
    + only|half price for cash>. <No bill|Say yes>, <quick work|done in an hour>. {A}
    <Sign up|Register> {n} friends and <get|we give you> a {thing}. They <only pay|each pay>
    + {price}, <and so on|it never ends>!
    <This {thing}|The {thing}> is <almost gone|nearly sold out>. <{N} people|Others> are looking
    + <now|this minute>. <Yours for|Take it for> {price}, <no returns|no way back>.
    <Get|Have> the <exam answers|driving licence> <before the exam|without a test>. {price}, <nobody
    + asks|very discreet>. <Write to|Only through> {A}
    <Dear|Our dear> <winner|lucky one>, your <name|number> was drawn! A <car|kitchen|trip> is
    + <yours|waiting>. <Just come and listen|You only have to hear> our <offer|talk> in {T}.
    <Stop|End> <hair loss|back pain|snoring> <in a week|at once>! <Doctors hate|No doctor knows>
    + this. {n} bottles {price}, <then|after that> {price} monthly.
    <Free|A free> <ring|bracelet|phone case>! <You only pay|Just pay> the postage, {price},
    + <and|which means> you <join our club|accept a box every month>.
    <Last|Very last> <chance|call>: <your points|the bonus> <melt away|vanish> at {hour}.
    + <Play|Spin> <once more|now> and <win back|double> everything!
    <I'm|My name is> {A}, <student|model>, <new in {T}|from far away>. <My pictures|The film>
    + <are|is> <for you alone|private>. <See|Look>: {site}, {price}
    <Cheapest|The cheapest> <power|insurance|phone plan> in {T}! <Say your|Tell us your> <account
    + number|birthday> and we <switch|change> you <today|by {hour}>.
    <We buy|Cash for> <gold teeth|old rings|cars>, <any state|also broken>. <Come|We come> <with
    + cash|at night>, <no names|don't tell anybody>. {phone}
    <Want to|Would you like to> <be famous|sing on TV>? <Our agency|We> <makes you|make anyone> a
    + star. <Photos|Test photos> {price}, <pay first|in advance>.
    <Your dog|Your cat> <deserves|needs> <gold|the best>! {food} <with|plus> vitamins, {price} <a
    + tin|a week>, <stop whenever you dare|ends never>. {shop}
    <Vote|Press 1> for <little {A}|our band>! <Every call|A call> {price}, <call twice|call till it
    + hurts>, <you could win|and maybe win> a {thing}.
    <Reply|Answer> within <an hour|{n} minutes> and the <second|next> {thing} is <free|half price>!
    + <After that|Later> <it's too late|full price>.
    <Last {things}|All {things}> <must go|for a song>! <Today|Tonight> {price}, <tomorrow|at dawn>
    + {big}. <Run|Don't think>! {shop}
    <Your neighbour|Everyone in {T}> <has one|already bought it>. <Why not you|And you>? {thing},
    + {price}, <pay later|in {n} parts>.
    <Secret|Hidden> <sale|shop>, <only by this message|for chosen people>: <watches|bags> like the
    + <great names|stars'>, {price}. <Ask|Write> {A}
    <One spoon|Three drops> <a day|at night> and <you sleep|the weight falls|wrinkles go>.
    + <Thousands|Film stars> <swear|can't be wrong>. {price}, {phone}
    <Play|Bet> with us: <first {price}|your first game> <free|on the house>! <Then|Later> <only
    + luck counts|we double it>. {site}
    <Somebody|A man of {N}> <near you|in {T}> <looked at|wants> your picture. <Unlock|See> <the
    + name|him> for {price}.
    <You|Only you> can <join|enter> our <millionaires' club|circle of winners>. <Seats|{n} seats>
    + <vanish|go> fast. <Fee|It's> {big}. {A}
    <Answer|Take> our <quiz|survey> and <grab|win> {big}! <It's easy|Nobody loses>.
    + <Postage|Handling> {price}.
    <A loan|Money> <in five minutes|before lunch>, <even|also> for <the jobless|those with debts>.
    + <Only {price} a day|You'll hardly notice the rate>.
    <Change|Throw out> your <windows|heating> now! The <state|government> <pays half|gives {big}>,
    + <only through us|till {day}>. {phone}
    <New|The new> <diet|prayer|method>: <get what you want|win anyone's heart>. <Book|Download>
    + {price}, <no refunds|today with candle>.
    <Your number|Number {code}> <has won|is in the final>! <To keep|To hold> your place <text|send>
    + WIN, {price} <each|per text>.
    <Hello handsome|Hi sweet one>, <I'm {A}|it's {A}>. <My cam is on|I'm bored>. <First minute
    + free|Come in>, then {price}.
    <Become|Be> an <agent|energy adviser>! <Buy|Take> <a starter box|{N} boxes> for {big} and <sell
    + to friends|get rich>.
    <Stop|Forget> <paying|your> <tax|rent>! <Our book|A trick> <shows how|they hide from you>,
    + {price}, <before it's forbidden|while you may>.
    <Buy one|Order today>, get <three|two more>! <Every month|Again in {month}>, <until|unless> you
    + <write a letter|cancel in time>. {site}
""")

TRICKS = messages("""
    Your account has been locked for your security. To open it, confirm your details at {site}
    Dear customer, we noticed a strange payment of {big}. Not yours? Log in here at once: {site}
    Your card will be blocked at {hour}. Verify the number and the code on the back: {site}
    Your parcel could not be delivered. Please pay the small fee of {price} at {site}
    Customs is holding your parcel. Pay {price} by {day} or it is sent back. {site}
    The address on your parcel isn't complete. Update it, and your card details, at {site}
    Hi mum, I broke my phone, this is my new number. Can you write to me here? x
    Hello dad its me, new number! cant get into my bank, can u pay a bill for me? {price},
    + back {day}
    Mum? I'm in trouble and can't talk. Please send {big} now and don't tell Dad. I'll explain later
    Granny, it's your favourite grandchild! Guess who! I need a little help with a car I've found
    Unpaid toll: {price}. Settle it before {day} to avoid a fine of {big}. {site}
    TAX OFFICE: you owe {big}. An officer is on his way. Call {phone} now to stop the arrest.
    You are entitled to a tax refund of {price}. Give your account number so we can pay it: {site}
    Your parking fine of {price} is overdue. It doubles at {hour}. Pay with vouchers, code to
    + {phone}
    I am a lawyer in {T}. A rich man with your family name has died and left {big}. Let's share it.
    Dear beloved, I'm old and ill and have no children. I want to give you my fortune of {big}.
    + I only need your full name, your bank and {price} for the papers. Bless you, Mrs {A}
    Greetings from a prince without a country. My gold needs a safe home. Can I trust you?
    Hello, by mistake {price} of mine went to you! Could you please send it back today? {A}
    Oh no, wrong transfer, that was my rent!! Pls return it to this other account, I'm begging you
    Easy job from home, {big} a week. You receive money and pass it on. No experience needed.
    We saw your profile and we're impressed! {price} an hour for liking pictures. Start today, {A}
    You've got the job! No interview needed. First buy your computer from our partner, {big}.
    + We'll pay it back with your first wages.
    Your password expires today. Keep the old one by typing it in at {site}. IT team
    Your mailbox has no room left, and {N} new mails wait outside. Enter your password to get
    + them: {site}
    Prize department: your {big} is ready to send. We only need the transfer fee of {price} first.
    Your lottery cheque is lying on my desk. Pay the tax of {price} and it's yours tomorrow. {A}
    Sweet puppy, free to a loving family, we moved abroad. You only pay the transport, {price}.
    The parrot is yours, my dear, but the airline wants {price} more for its cage. Send it quickly
    {A}, are you at your desk? I'm sitting with clients, so no calls. Buy {n} gift cards of {price}
    + and send me the codes. It's a surprise for the team, so keep it secret. The boss
    Hi {B}, it's the director. Please make an urgent transfer of {big} before {hour}. I trust you.
    We are with another bank. Please pay invoice {N}, {big}, to the new account {code} from now on.
    Hello {A}, it was nice to meet you in {T}! Oh, this isn't {A}? How funny. You seem kind,
    + shall we be friends? I trade coins, by the way, and it's going very well.
    My darling, I've booked my flight to you, but my wallet was stolen. {big} would save us. {B}
    I'm a soldier far from home and I liked your picture. Are you married? Can we write?
    The surgeon won't begin until he's paid. You're the only one I can ask, my love. {big}, please
    I sent you a code by mistake, six digits. Can you tell me what it says? Thanks, {A}
    You just got a code from us. Read it to our agent, to stop the thief in your account.
    This is your bank. Thieves are in your account! Move your money to this safe one: {code}
    Microfix support: your computer has {N} viruses. Don't turn it off, call {phone} immediately
    Your antivirus was renewed for {big}. To cancel and get a refund, call {A} on {phone}.
    Your film subscription has stopped because a payment failed. Enter your card again: {site}
    Is that you in this video?? Everyone's laughing about it {site}
    I have watched you through your camera. Pay {big} in coins or all your friends get the film.
    You missed a call from the court. Press one or ring {phone} to avoid prison. Do not ignore this
    We found your lost {thing}. Pay {price} for the postage and we'll send it. No visits please.
    Dear owner, your phone was found in {T}. Type in your screen code to see where it is: {site}
    I like your {thing} and will pay double! My driver brings the money, you only pay
    + his insurance of {price} first. Send me your account and card number. God bless, {A}
    Flat in the middle of {T}, garden, {price} a month! I'm abroad, so send the deposit of {big}
    + and I will post you the keys. Many others are asking, so be quick.
    Two tickets for the sold-out concert, {price}. I can't go, so sad. Pay first, then I mail them
    Children are hungry in {T} and winter's here. Give {price} now by voucher, the code is enough.
    Hello from your old school friend! I'm stuck abroad, lost my passport. Could you wire {big}?
    Please vote for my daughter, she's in the last round! Log in with your number at {site}
    You're invited to our wedding!! Open the card to see who and when: {site}
    We switch your power off at {hour}, as one bill was never paid. Call {phone}
    Government help for families: {big} each. Register with your card and passport at {site}
    Your neighbour told on you. Pay {price} today and we'll forget about the TV licence. {site}
    We couldn't check your identity. Send a photo of your card, both sides, or lose your membership.
    Invest {price} with me and have {big} by {day}. I did it for {A} and she cried with joy
    You lost money to thieves? We get it back! Our fee is only {price}, to be paid in advance.
    Your domain ends on {day}. Renew now for {big} or your website is gone. Invoice {N}
    Keep this message, send it to ten friends and luck will find you. {A} didn't and lost her house
    hello dear, how was your day? i think god sent me to your number. do you live alone?
    ur insurance has lapsed!! police check cars in {T} on {day}. pay {price} today at {site}
    We're calling from the hospital. {A} is here and needs a treatment which isn't covered.
    + Please pay {big} by phone, the doctors are waiting.
    Payment request: {A} asks you for {price}. To refuse it, enter your secret number.
    Your loan of {big} is granted. Pay {price} for the insurance and you'll have it tonight.
    It's {A} from the club, I have a small problem and I'm ashamed to ask. Can you keep a secret?
    FINAL REMINDER. You have not paid {big}. Our men will visit your home on {day}. {phone}
    Your voucher from {shop} is ready! Fill in your card number, we take only {price} for handling.
    They cheated you at the holiday flat and we have a list of victims. For {price} you're on it.
    Don't trust your bank, {A}. Someone there is stealing. Take out {big} and our man fetches it.
    <Mum|Dad|Gran>, <my phone|the phone> <fell into the toilet|is broken>, <write to|save> this
    + <number|one>. <I owe them|There's> a bill of {big} <today|by {hour}>, <can you|could you>
    + <send it|do it for me>? x
    <Grandma|Grandpa>, <I had a crash|I've hurt someone>. <The police|They> <keep me here|won't let
    + me go> until {big} <is paid|is here>. <A man|My lawyer> <will fetch|comes for> <the
    + money|your rings>. <Don't tell|Not a word to> anyone.
    <Hello {A}|{A}>, <boss here|it's the boss>. <I'm|Sitting> in a meeting. <Buy|Get> {n} cards for
    + <presents|clients>, <scratch|open> them, <then write|then read> me what <stands|is> there.
    + <Only you know|Nobody else knows>.
    <We could not|The driver couldn't> <find your house|read the label>. <Give|Send> <your card
    + number|{price}> <for a second try|to free the parcel>, <else|or> it <goes back|is burnt>.
    <Your bank|The bank's guard> <asks|needs> you to <read out|tell us> <your secret number|the
    + code we just sent>. <It is for|Only for> your <own safety|protection>.
    <Someone|A thief> is <emptying|inside> your account! <Move|Bring> <all of it|everything> to
    + <the safe one|this number>, {code}, <before|by> {hour}. <Trust no one|Tell nobody> at the
    + branch.
    <Your account|Your card> <sleeps|is frozen> <since {day}|from today>. <Wake it|Open it again>
    + with <your password|card and code> <at {site}|in a reply>.
    <Tax office|The court>: <pay {big}|you owe {big}>, <today|within the hour>, <in vouchers|by
    + coin>. <Or we|Else we> <take the house|come with a van>.
    <A cousin|A client> of your <family|name> died <rich|without heirs>. <I can|We could> put {big}
    + in your name. <First|I only need> <your passport|{price} for the seal>. <Secretly|In secret>,
    + {A}
    <Darling|My heart>, <the ship|my plane> is <late|stopped>, <they want|customs want> {big} for
    + <the ring|my gold>. <You're|You are> <my only hope|all I have>. <Then|And then> we marry. {B}
    <We never met|You don't know me>, but <your face|your voice> <stays with me|makes me dream>.
    + <I'm|I am> <an engineer|a nurse> <at sea|far away>. <Write|Answer> <me here|to my private
    + address>. {A}
    <Wrong number|Sorry, is this {B}>? <Oh, but|No? But> <you sound nice|what a sign>! <I made|My
    + uncle made> {big} with coins. <Shall I|May I> <teach|show> you?
    <I paid you|I've sent you> {big} <too much|by mistake>. <Please|Be so kind and> <return|send
    + back> <half|the rest> <to my brother|on vouchers>. <I trust you|God sees you>.
    <I take|I want> your <{thing}|sofa>, <unseen|without looking>! <My cousin|A driver> <fetches
    + it|comes>. <Only|You just> <give me|type in> <card and code|your bank's password> <so I can
    + pay|for the money>.
    <The flat|The room> is <yours|free>! <I'm|We are> <abroad|in another land>, <so pay|please pay>
    + {big} <before you see it|first>, <the keys|then keys> come <by post|by angel>. {A}
    <You're hired|The job is yours>! <Money|Sums> <comes in|arrives> on your account and you <pass
    + it on|send it further>. <Keep|You keep> {price} <of each|every time>. <No questions|Ask
    + nothing>.
    <Before|So that> <your first day|you can begin>, <buy|pay for> <the computer|the uniform> <from
    + us|at our friend's shop>, {big}. <You get it back|It comes back> <later|with the wages>.
    <This is|Here is> Microfix. <We see|There is> <a thief|a worm> in your computer. <Install|Load>
    + <our help|this>: {site} and <leave it on|go and drink tea>.
    <I know|We have> what you <did|looked at>. <{big} in coins|Pay {big}> or <your wife|all your
    + friends> <gets the film|will see>. <You have|The clock says> {n} hours.
    <Is it you|Are you> in this <picture|list>? <Log in|Give your password> <and see|to look>:
    + {site}
    <Your|Our> <tenth|oldest> neighbour <fell ill|lost everything>. <Give|Send> {price} <by
    + voucher|to {code}>, <name no names|don't call her>. <Hurry|Tonight>!
    <We can|I can> get <back|you back> the {big} you lost. <Our fee|The fee>, {price}, <comes
    + first|is paid in front>. <This time|Now> it's <honest|real>.
    <Tickets|Two seats> for {T}, <sold out|every place gone>, <from me|mine> for {price}.
    + <Pay|Transfer> <first|now>, <I send|you get> them <after|on {day}>. <Promise|Word of honour>!
    <The puppy|Our kitten> <is yours|is free>, <only|just> the <cage|vaccine|flight> <costs|comes
    + to> {price}. <And then|And tomorrow> <another|a second> {price}. <She waits|He cries> for
    + you.
    <Send this|Pass this on> to {n} people <before|by> {hour}. <Who broke|Those who broke> the
    + chain <lost their|saw no more> <luck|money>. <It's true|{A} can tell you>.
    <You got|There came> a code <by mistake|of mine>, <tell it|read it> <to me|quickly>, {A}. <I'm
    + locked out|I need it> and <time runs|it's my life>.
    <Dear parents|Class {N}>, <the trip|the bus> <costs|is> {price} <more|extra>. <Pay|Send it> to
    + <a new account|this new number>, {code}, <today|not at school>.
    <Our account|The firm's account> <has changed|is new>. <Invoice {N}|What you owe>, {big},
    + <goes|please pay it> to {code}. <Do not|No need to> <ring|call> us.
    <Hospital|Ward {N}> here. {A} <can't speak|sleeps>. <The treatment|The medicine> <costs|is>
    + {big}, <card number|pay by phone> <please|now>. <Don't come|No visits>.
    <Confirm|Repeat> your <name, birthday|passport number> and <mother's name|card> <and we|so that
    + we> <pay out|send> your <grant|{big}>. <Office|Government> of help
    <Sister|Brother>, <I'm stuck|they robbed me> in {T}. <No phone|This is a stranger's phone>, <no
    + card|no shoes>. <Wire|Send> {big} <to this name|quickly>, <I'm ashamed|don't ring Mum>.
    <Your child|Your son> <did not pay|has a debt with us>. {price} <today|by {hour}> or <everybody
    + hears of it|it doubles>. <No police|Be wise>.
    <Office|Pay office> here. <Your wages|This month's pay> <can't be sent|waits>, <type|send>
    + <your account and password|card, both sides>.
    <I am|This is> <your new landlord|the new owner>. <From now on|This month> the rent <goes to|is
    + paid to> {code}. <Old contract|The old account> is <dead|closed>.
    <Your pension|A grant> <is held back|needs waking>: <tell us|repeat> <your number and
    + birthday|the code on the letter>, <fee|stamp> {price}.
    <Your neighbour|Old {A}> <is in hospital|passed away>. <For the flowers|We collect>: <vouchers
    + only|{price} to {code}>, <don't ask the family|quietly>.
    <Doctor|The clinic>: <your test|the blood> is <bad|not right>. <Results|We tell you more> <for
    + {price}|after payment>: {site}
    <School|The teacher> says: <new portal|exam rules>. <Log in|Write> with <your mail
    + password|bank card> <tonight|or your child can't sit it>.
    <You have|There are> {n} <lost calls|hidden messages> <from a judge|from the bank>. <Hear
    + them|Listen>: {phone}, <stay on the line|it takes a while>.
    <Refund|You paid too much>! <Choose|Pick> your bank <from the list|here>: {site}, <enter|give>
    + <name, card, code|everything as usual>.
    <I found|A boy found> your <dog|purse>. <I'm poor|The trip costs>, <send|first> {price} and <he
    + comes home|I post it>. <No picture|The camera broke>.
    <We fix|Our man fixes> your <internet|meter> <today|in an hour>. <He needs|Have ready> <your
    + password|cash>, <and leave him alone|no papers>.
    <Gold|A box of gold> <came|lies> at the <harbour|airport> <for you|in your name>. <Customs|The
    + guard> <wants|takes> {price}. <Then|After that> you're <free|rich>.
    <Dear|My dear> <friend in faith|soul>, <my orphans|our church> <freeze|hungers>. <Only|Just>
    + {price}, <no names|a secret between you and heaven>. {A}
    <Prove|Show> you are <a person|yourself>: <hold|send> <your passport|a photo with your card>
    + <to the camera|here>, <or lose|else> <the account|your points>.
    <You sold me|That {thing} is> <a broken one|not as you said>! <Pay|Give> back {big} <to my
    + lawyer|on this number> or <court|I tell all>.
""")

HEADINGS = lines("""
    Messages that {A} got on {day}
    On {day} {A} read these messages, one after the other.
    What the post and the telephone brought {A} in {month}:
    {A} showed {B} the messages of one day.
""")
